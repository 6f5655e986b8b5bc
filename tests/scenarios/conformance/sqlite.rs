//! docs/contract/host-interfaces.md §5.3.

use serde_json::{Value, json};

use super::apps::DOWN;
use super::case::{Call, Section, call, err, ok, section};

const FILE: &str = "SQLite file";
const LIBSQL: &str = "libSQL (a double)";

pub fn sections() -> Vec<Section> {
    let mut sections = Vec::new();
    for app in ["apis1", "apis1-core"] {
        let mut calls = vec![call("open", json!(["default"]), ok("opened"))];
        calls.extend(statements(json!(null), "execute"));
        calls.push(call("close", json!([4711]), json!(null)).when("the handle was never opened"));
        calls.push(call("close", json!([null]), json!(null)));
        calls.push(
            call(
                "execute",
                json!([null, "SELECT 1", []]),
                err("invalid-connection"),
            )
            .when("after `close`"),
        );
        sections.push(section("fermyon:spin/sqlite", FILE, app, "sqlite", calls));
    }
    let two = "fermyon:spin/sqlite@2.0.0";
    let remote = |app, connection: Value| {
        let run = |statement: &str, parameters: Value, expected: Value| {
            call("execute", json!([connection, statement, parameters]), expected)
        };
        let values =
            json!([{"integer": i64::MIN}, {"real": -0.5}, {"text": "ü"}, {"blob": "0x00ff80"}, "null"]);
        let opened = if connection.is_null() { ok("opened") } else { ok(0) };
        let table = format!("remote_{app}");
        vec![
            call("open", json!(["remote"]), opened),
            run(
                &format!("CREATE TABLE {table} (i, r, x, b, n)"),
                json!([]),
                nothing(),
            ),
            run(
                &format!("INSERT INTO {table} VALUES (?, ?, ?, ?, ?)"),
                values.clone(),
                nothing(),
            ),
            run(
                &format!("SELECT * FROM {table}"),
                json!([]),
                rows(&["i", "r", "x", "b", "n"], json!([values])),
            )
            .when("values of all types"),
            run("SELECT * FROM missing", json!([]), io("…no such table: missing…"))
                .when("there is no such table"),
        ]
    };
    sections.push(section(
        "fermyon:spin/sqlite",
        LIBSQL,
        "apis1",
        "sqlite",
        remote("apis1", json!(null)),
    ));
    sections.push(section(two, LIBSQL, "apis5", two, remote("apis5", json!(0))));
    let three = "spin:sqlite/sqlite@3.1.0";
    sections.push(section(three, LIBSQL, "apis7", three, remote("apis7", json!(0))));
    let down = vec![
        call("open", json!(["remote"]), ok(0)),
        call(
            "execute",
            json!([0, "SELECT 1", []]),
            io("the libSQL server can't be reached: Connection refused (os error 111)"),
        )
        .when("the server is down"),
    ];
    sections.push(section(two, LIBSQL, DOWN, two, down));
    let mut calls = vec![call("open", json!(["default"]), ok(0))];
    calls.extend(statements(json!(0), "execute"));
    calls.push(call("drop", json!([0]), json!(null)));
    sections.push(section(two, FILE, "apis5", two, calls));
    sections.push(section(
        "spin:sqlite/sqlite@3.0.0",
        FILE,
        "apis5",
        "spin:sqlite/sqlite@3.0.0",
        three_of_the_sdk(),
    ));
    sections.push(section(three, FILE, "apis7", three, asynchronous()));
    sections
}

fn rows(columns: &[&str], rows: Value) -> Value {
    let rows: Vec<_> = rows
        .as_array()
        .expect("rows")
        .iter()
        .map(|values| json!({"values": values}))
        .collect();
    ok(json!({"columns": columns, "rows": rows}))
}

fn nothing() -> Value {
    rows(&[], json!([]))
}

fn io(text: &str) -> Value {
    err(json!({"io": text}))
}

/// What all versions do, on the connection that was opened.
fn statements(connection: Value, execute: &'static str) -> Vec<Call> {
    let run = |statement: &str, parameters: Value, expected: Value| {
        call(execute, json!([connection, statement, parameters]), expected)
    };
    let all = json!([
        {"integer": i64::MIN}, {"real": -0.5}, {"text": "ü\u{0}"}, {"blob": "0x00ff80"}, "null",
    ]);
    let empty = json!([{"integer": i64::MAX}, {"real": 1e300}, {"text": ""}, {"blob": []}, "null"]);
    vec![
        run("DROP TABLE IF EXISTS t", json!([]), nothing()),
        run(
            "CREATE TABLE t (i INTEGER, r REAL, x TEXT, b BLOB, n)",
            json!([]),
            nothing(),
        ),
        run("INSERT INTO t VALUES (?, ?, ?, ?, ?)", all.clone(), nothing()),
        run(
            "INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5)",
            empty.clone(),
            nothing(),
        ),
        run(
            "SELECT i, r, x, b, n FROM t ORDER BY i",
            json!([]),
            rows(&["i", "r", "x", "b", "n"], json!([all, empty])),
        )
        .when("values of all types, empty and large ones"),
        run("SELECT i FROM t WHERE i = 1", json!([]), rows(&["i"], json!([]))).when("there is no row"),
        run(
            "SELECT 1 AS a; SELECT 2 AS b",
            json!([]),
            rows(&["a"], json!([[{"integer": 1}]])),
        )
        .when("there are two statements: only the first is run"),
        run(
            "PRAGMA foreign_keys",
            json!([]),
            rows(&["foreign_keys"], json!([[{"integer": 1}]])),
        ),
        run("SELECT * FROM missing", json!([]), io("no such table: missing…")).when("there is no such table"),
        run(
            "SELEC 1",
            json!([]),
            io("near \"SELEC\": syntax error in SELEC 1 at offset 0"),
        )
        .when("the syntax is wrong"),
        run("", json!([]), io("bad parameter or other API misuse")).when("the statement is empty"),
        run(
            "SELECT ?, ?",
            json!([{"integer": 1}]),
            io("Wrong number of parameters passed to query. Got 1, needed 2"),
        )
        .when("a parameter is missing"),
        run(
            "SELECT CAST(x'ff' AS TEXT)",
            json!([]),
            io("the text in column 0 is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0"),
        )
        .when("a text is not UTF-8"),
        run("ATTACH 'other.db' AS other", json!([]), io("not authorized")).when("a file is attached"),
        run("ATTACH ':memory:' AS other", json!([]), nothing()),
        run("BEGIN", json!([]), nothing()),
        run("DELETE FROM t", json!([]), nothing()),
        run("ROLLBACK", json!([]), nothing()),
        run(
            "SELECT count(*) AS n FROM t",
            json!([]),
            rows(&["n"], json!([[{"integer": 2}]])),
        ),
        call("open", json!(["other"]), err("access-denied")).when("the label is not granted"),
    ]
}

/// As Rust shows the types of Spin's SDK 5.
fn three_of_the_sdk() -> Vec<Call> {
    let nothing = "Ok(([], []))";
    let run = |statement: &str, expected: &str| call("execute", json!([0, statement]), json!(expected));
    vec![
        call("open", json!(["default"]), ok(0)),
        run("CREATE TABLE three (id INTEGER PRIMARY KEY)", nothing),
        run("INSERT INTO three VALUES (40), (41), (42)", nothing),
        call("last-insert-rowid", json!([0]), json!(42)),
        call("changes", json!([0]), json!(3)),
        run(
            "SELECT max(id) AS id FROM three",
            "Ok(([\"id\"], [[Value::Integer(42)]]))",
        ),
        run("DROP TABLE three", nothing),
        call("open", json!(["other"]), err("Error::AccessDenied")).when("the label is not granted"),
    ]
}

fn asynchronous() -> Vec<Call> {
    let late = |error: &str| json!({"late": {"columns": [], "rows": [], "err": {"io": error}}});
    let mut calls = vec![
        call("open", json!(["default"]), ok(0)),
        call("open-async", json!(["default"]), ok(1)),
        call("open-async", json!(["other"]), err("access-denied")).when("the label is not granted"),
    ];
    calls.extend(statements(json!(0), "execute"));
    let run = |statement: &str, parameters: Value, expected: Value| {
        call("execute-async", json!([1, statement, parameters]), expected)
    };
    calls.extend([
        run(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, x)",
            json!([]),
            rows(&[], json!([])),
        ),
        run(
            "INSERT INTO a (x) VALUES (?), (?)",
            json!([{"text": "one"}, "null"]),
            rows(&[], json!([])),
        ),
        call("last-insert-rowid", json!([1]), json!(2)),
        call("last-insert-rowid-async", json!([1]), json!(2)),
        call("changes", json!([1]), json!(2)),
        call("changes-async", json!([1]), json!(2)),
        run(
            "SELECT id, x FROM a ORDER BY id",
            json!([]),
            rows(
                &["id", "x"],
                json!([[{"integer": 1}, {"text": "one"}], [{"integer": 2}, "null"]]),
            ),
        ),
        run(
            "SELECT * FROM missing",
            json!([]),
            late("no such table: missing…"),
        )
        .when("there is no such table: told by the future"),
        run("DROP TABLE a", json!([]), rows(&[], json!([]))),
        call("drop", json!([1]), json!(null)),
        call("drop", json!([0]), json!(null)),
    ]);
    calls
}

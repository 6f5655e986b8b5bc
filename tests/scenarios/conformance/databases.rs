//! docs/contract/host-interfaces.md §5.7 and §5.8.

use serde_json::{Value, json};

use super::apps::{Apps, NOWHERE};
use super::case::{Call, Section, call, err, ok, section};

const POSTGRES: &str = "PostgreSQL";
const MARIADB: &str = "MariaDB";

pub fn postgres(apps: &Apps) -> Vec<Section> {
    let url = apps.postgres.url();
    let mut sections = Vec::new();
    for app in ["apis1", "apis1-core"] {
        let mut calls = pg_common(&json!(url), app, 1);
        calls.extend(pg_unsigned(&json!(url)));
        calls.extend([
            call("query", json!([PG_DENIED, "SELECT 1", []]), pg_denied()).when("the address is not allowed"),
            call("query", json!([pg_down(), "SELECT 1", []]), pg_unreachable()).when("the server is down"),
        ]);
        sections.push(section("fermyon:spin/postgres", POSTGRES, app, "postgres", calls));
    }
    let two = "fermyon:spin/postgres@2.0.0";
    let mut calls = pg_opened(&url, "two", 2);
    calls.extend(pg_unsigned(&json!(0)));
    sections.push(section(two, POSTGRES, "apis5", two, calls));
    let three = "spin:postgres/postgres@3.0.0";
    let mut calls = pg_opened(&url, "three", 3);
    calls.extend(pg_times(&json!(0), "query"));
    sections.push(section(three, POSTGRES, "apis5", three, calls));
    let four = "spin:postgres/postgres@4.0.0";
    sections.push(section(four, POSTGRES, "apis5", four, pg_of_the_sdk(&url)));
    let four = "spin:postgres/postgres@4.2.0";
    let mut calls = pg_opened(&url, "four", 4);
    calls.extend(pg_times(&json!(0), "query"));
    calls.extend(pg_newer(&json!(0), "query"));
    calls.extend(pg_asynchronous(&url));
    sections.push(section(four, POSTGRES, "sql7", four, calls));
    sections
}

const PG_DENIED: &str = "postgres://app@not-allowed/app";

fn pg_denied() -> Value {
    err(json!({"connection-failed": "address postgres://not-allowed:5432 is not permitted"}))
}

fn pg_down() -> String {
    format!("postgres://app@{NOWHERE}/app?sslmode=disable")
}

fn pg_unreachable() -> Value {
    let text = "Error occurred while creating a new object: error connecting to server\n\nCaused by:\n    \
                0: error connecting to server\n    1: Connection refused (os error 111)";
    err(json!({"connection-failed": text}))
}

/// A whole answer of columns, each with its type, and rows.
fn answer(columns: &[(&str, Value)], rows: Value) -> Value {
    let columns: Vec<_> = columns
        .iter()
        .map(|(name, data_type)| json!({"name": name, "data-type": data_type}))
        .collect();
    ok(json!({"columns": columns, "rows": rows}))
}

fn pg_opened(url: &str, table: &str, version: u32) -> Vec<Call> {
    let mut calls = vec![
        call("open", json!([url]), ok(0)),
        call("open", json!([PG_DENIED]), pg_denied()).when("the address is not allowed"),
        call("open", json!([pg_down()]), pg_unreachable()).when("the server is down"),
    ];
    calls.extend(pg_common(&json!(0), table, version));
    calls
}

/// What all versions do. `first` is the handle, or the address.
fn pg_common(first: &Value, table: &str, version: u32) -> Vec<Call> {
    let table = format!("t_{}", table.replace('-', "_"));
    let columns = [
        ("a", json!("boolean")),
        ("b", json!("int16")),
        ("c", json!("int32")),
        ("d", json!("int64")),
        ("e", json!("floating32")),
        ("f", json!("floating64")),
        ("g", json!("str")),
        ("h", json!("binary")),
        ("i", json!("int32")),
    ];
    let row = json!([
        {"boolean": true}, {"int16": -32768}, {"int32": 2147483647}, {"int64": i64::MIN}, {"floating32": 0.5},
        {"floating64": -0.25}, {"str": "ü"}, {"binary": "0x00ff80"}, "db-null",
    ]);
    let echo = "SELECT $1::bool a, $2::int2 b, $3::int4 c, $4::int8 d, $5::float4 e, $6::float8 f, $7::text g, \
                $8::bytea h, $9::int4 i";
    let empty = json!([
        {"boolean": false}, {"int16": 0}, {"int32": 0}, {"int64": 0}, {"floating32": "NaN"}, {"floating64": "-inf"},
        {"str": ""}, {"binary": []}, "db-null",
    ]);
    let failed = |code: &str, message: &str| match version {
        4 => err(json!({"query-failed": {"db-error": {
            "as-text": "…", "severity": "ERROR", "code": code, "message": message, "detail": "…", "extras": "…",
        }}})),
        // As Rust shows a text within a text.
        _ => {
            let message = format!("{message:?}");
            err(json!({"query-failed": format!("…SqlState(E{code})…message: {message}…")}))
        }
    };
    let missing = failed("42P01", "relation \"missing\" does not exist");
    let twice = failed(
        "23505",
        &format!("duplicate key value violates unique constraint \"{table}_pkey\""),
    );
    let wrong_type = match version {
        4 => err(json!({"query-failed": {"text": "…WrongType…"}})),
        _ => err(json!({"query-failed": "…WrongType…"})),
    };
    let run = |function: &'static str, statement: &str, parameters: Value, expected: Value| {
        call(function, json!([first, statement, parameters]), expected)
    };
    let mut calls = vec![
        run("query", echo, row.clone(), answer(&columns, json!([row]))),
        run("query", echo, empty.clone(), answer(&columns, json!([empty])))
            .when("values are empty, or no numbers"),
        run(
            "execute",
            &format!("CREATE TABLE {table} (id int4 PRIMARY KEY)"),
            json!([]),
            ok(0),
        ),
        run(
            "execute",
            &format!("INSERT INTO {table} VALUES ($1), ($2)"),
            json!([{"int32": 1}, {"int32": 2}]),
            ok(2),
        ),
        run(
            "execute",
            &format!("INSERT INTO {table} VALUES (1)"),
            json!([]),
            twice,
        )
        .when("a key is there already"),
        run(
            "query",
            &format!("SELECT id FROM {table} WHERE id = $1"),
            json!([{"int32": 3}]),
            ok(json!({"columns": "…", "rows": []})),
        )
        .when("there is no row"),
        run("query", "SELECT * FROM missing", json!([]), missing).when("there is no such table"),
        run(
            "query",
            "SELECT $1::int4",
            json!([{"str": "x"}]),
            wrong_type.clone(),
        )
        .when("a parameter is of another type"),
        run(
            "execute",
            &format!("DELETE FROM {table} WHERE id = $1"),
            json!([{"str": "x"}]),
            wrong_type,
        )
        .when("a parameter is of another type"),
        run("execute", &format!("DROP TABLE {table}"), json!([]), ok(0)),
    ];
    if version < 3 {
        let date = answer(&[("d", json!("other"))], json!([["unsupported"]]));
        calls.push(
            run("query", "SELECT date '2024-02-29' d", json!([]), date)
                .when("the type is unknown to this version"),
        );
    }
    if version == 3 {
        let uuid = answer(&[("u", json!("other"))], json!([["unsupported"]]));
        calls.push(
            run("query", "SELECT gen_random_uuid() u", json!([]), uuid)
                .when("the type is unknown to this version"),
        );
    }
    calls
}

fn pg_unsigned(first: &Value) -> Vec<Call> {
    let refused = err(json!({"value-conversion-failed": "Postgres does not support unsigned integers"}));
    let arguments = json!([first, "SELECT $1::int4", [{"uint8": 1}]]);
    vec![
        call("query", arguments.clone(), refused.clone()).when("a parameter is unsigned"),
        call("execute", arguments, refused).when("a parameter is unsigned"),
    ]
}

/// Dates and times, since 3.0.0.
fn pg_times(first: &Value, query: &'static str) -> Vec<Call> {
    let columns = [("a", "date"), ("b", "time"), ("c", "datetime"), ("d", "datetime")]
        .map(|(name, kind)| (name, json!(kind)));
    let row = json!([[
        {"date": [2024, 2, 29]},
        {"time": [12, 34, 56, 789_012_000]},
        {"datetime": [2024, 2, 29, 12, 34, 56, 789_012_000]},
        {"datetime": [2024, 2, 29, 10, 0, 0, 0]},
    ]]);
    let literals = "SELECT date '2024-02-29' a, time '12:34:56.789012' b, timestamp '2024-02-29 12:34:56.789012' c, \
                    timestamptz '2024-02-29 12:00:00+02' d";
    let parameters = json!([
        {"date": [2024, 2, 29]}, {"time": [12, 34, 56, 789_012_000]}, {"datetime": [2024, 2, 29, 12, 34, 56, 789_012_000]},
        {"timestamp": 1_709_200_800},
    ]);
    vec![
        call(query, json!([first, literals, []]), answer(&columns, row.clone())).when("dates and times"),
        call(
            query,
            json!([
                first,
                "SELECT $1::date a, $2::time b, $3::timestamp c, $4::timestamp d",
                parameters
            ]),
            answer(&columns, row),
        )
        .when("dates and times as parameters"),
    ]
}

/// What 4.0.0 brought.
fn pg_newer(first: &Value, query: &'static str) -> Vec<Call> {
    let columns = [
        ("a", "uuid"),
        ("b", "jsonb"),
        ("c", "decimal"),
        ("d", "range-int32"),
        ("e", "range-int64"),
        ("f", "range-decimal"),
        ("g", "array-int32"),
        ("h", "array-int64"),
        ("i", "array-decimal"),
        ("j", "array-str"),
        ("k", "interval"),
    ]
    .map(|(name, kind)| (name, json!(kind)));
    let row = json!([
        {"uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
        {"jsonb": "{\"a\":[1,null]}"},
        {"decimal": "-12345678901234567890.0123456789"},
        {"range-int32": [[1, "inclusive"], [5, "exclusive"]]},
        {"range-int64": [null, [7, "exclusive"]]},
        {"range-decimal": [["0.5", "exclusive"], ["1.50", "inclusive"]]},
        {"array-int32": [1, null, -3]},
        {"array-int64": []},
        {"array-decimal": ["1.5", null]},
        {"array-str": ["a", null, ""]},
        {"interval": {"micros": -1_500_000, "days": 2, "months": -14}},
    ]);
    let types = "uuid jsonb numeric int4range int8range numrange int4[] int8[] numeric[] text[] interval";
    let names = "abcdefghijk".chars();
    let echo: Vec<_> = types
        .split(' ')
        .zip(names)
        .enumerate()
        .map(|(at, (kind, name))| format!("${}::{kind} {name}", at + 1))
        .collect();
    let literals = "SELECT 'empty'::int4range a, 'NaN'::numeric b, NULL::text[] c";
    let empty = json!([{"range-int32": "…"}, {"decimal": "NaN"}, "db-null"]);
    let other = answer(
        &[("j", json!({"other": "json"}))],
        json!([[{"unsupported": "{}"}]]),
    );
    vec![
        call(
            query,
            json!([first, format!("SELECT {}", echo.join(", ")), row]),
            answer(&columns, json!([row])),
        )
        .when("what 4.0.0 brought"),
        call(
            query,
            json!([first, literals, []]),
            answer(
                &[
                    ("a", json!("range-int32")),
                    ("b", json!("decimal")),
                    ("c", json!("array-str")),
                ],
                json!([empty]),
            ),
        )
        .when("an empty range, no number, a null array"),
        call(query, json!([first, "SELECT '{}'::json j", []]), other)
            .when("the type is unknown to this version"),
    ]
}

/// As Rust shows the types of Spin's SDK 5.
fn pg_of_the_sdk(url: &str) -> Vec<Call> {
    vec![
        call("open", json!([url]), ok(0)),
        call(
            "query",
            json!([0, "SELECT 1::int4 AS n"]),
            json!(
                "Ok(RowSet { columns: [Column { name: \"n\", data-type: DbDataType::Int32 }], rows: [[DbValue::Int32(1)]] })"
            ),
        ),
        call("execute", json!([0, "SELECT 1"]), json!("Ok(1)")),
        call(
            "open",
            json!([PG_DENIED]),
            err("Error::ConnectionFailed(\"address postgres://not-allowed:5432 is not permitted\")"),
        )
        .when("the address is not allowed"),
    ]
}

fn pg_asynchronous(url: &str) -> Vec<Call> {
    let mut calls = vec![
        call("open-async", json!([url]), ok(1)),
        call("open-async", json!([PG_DENIED]), pg_denied()).when("the address is not allowed"),
        call(
            "execute-async",
            json!([1, "CREATE TEMPORARY TABLE x (id int4)", []]),
            ok(0),
        ),
        call(
            "execute-async",
            json!([1, "INSERT INTO x VALUES ($1)", [{"int32": 1}]]),
            ok(1),
        ),
        call(
            "query-async",
            json!([1, "SELECT i FROM generate_series(1, 3) i", []]),
            answer(
                &[("i", json!("int32"))],
                json!([[{"int32": 1}], [{"int32": 2}], [{"int32": 3}]]),
            ),
        ),
    ];
    calls.extend(pg_times(&json!(1), "query-async"));
    calls.extend(pg_newer(&json!(1), "query-async"));
    calls.extend([
        call("connection-builder", json!([url]), ok(0)),
        call("build", json!([0]), ok(2)),
        call(
            "query",
            json!([2, "SELECT 1::int4 n", []]),
            answer(&[("n", json!("int32"))], json!([[{"int32": 1}]])),
        ),
        call("connection-builder", json!([url]), ok(1)),
        call("build-async", json!([1]), ok(3)),
        call("connection-builder", json!([PG_DENIED]), ok(2)),
        call("build", json!([2]), pg_denied()).when("the address is not allowed"),
        call("connection-builder", json!([PG_DENIED]), ok(3)),
        call("build-async", json!([3]), pg_denied()).when("the address is not allowed"),
        call("connection-builder", json!([url]), ok(4)),
        call(
            "set-ca-root",
            json!([4, "no certificate"]),
            err(json!({"other": "invalid root certificate: invalid root certificate"})),
        )
        .when("it is no certificate"),
        call("drop", json!([1]), json!(null)),
    ]);
    calls
}

pub fn mysql(apps: &Apps) -> Vec<Section> {
    let url = apps.mysql.address();
    let mut sections = Vec::new();
    for app in ["apis1", "apis1-core"] {
        let mut calls = my_common(&json!(url), app, false);
        calls.extend([
            call("query", json!([MY_DENIED, "SELECT 1", []]), my_denied()).when("the address is not allowed"),
            call("query", json!([my_down(), "SELECT 1", []]), my_unreachable()).when("the server is down"),
        ]);
        sections.push(section("fermyon:spin/mysql", MARIADB, app, "mysql", calls));
    }
    for (interface, app) in [
        ("fermyon:spin/mysql@2.0.0", "apis5"),
        ("spin:mysql/mysql@3.0.0", "sql7"),
    ] {
        let mut calls = vec![
            call("open", json!([url]), ok(0)),
            call("open", json!([MY_DENIED]), my_denied()).when("the address is not allowed"),
            call("open", json!([my_down()]), my_unreachable()).when("the server is down"),
        ];
        calls.extend(my_common(&json!(0), app, app == "sql7"));
        calls.push(call("drop", json!([0]), json!(null)));
        sections.push(section(interface, MARIADB, app, interface, calls));
    }
    sections
}

const MY_DENIED: &str = "mysql://app:pw@not-allowed/app";

fn my_denied() -> Value {
    err(json!({"connection-failed": format!("address {MY_DENIED} is not permitted")}))
}

fn my_down() -> String {
    format!("mysql://app:secret@{NOWHERE}/app")
}

fn my_unreachable() -> Value {
    let text = "Input/output error: Input/output error: Connection refused (os error 111)";
    err(json!({"connection-failed": text}))
}

fn my_common(first: &Value, table: &str, streamed: bool) -> Vec<Call> {
    let table = format!("t_{}", table.replace('-', "_"));
    let types = [
        ("a", "TINYINT", "int8", json!({"int8": -128})),
        ("b", "TINYINT UNSIGNED", "uint8", json!({"uint8": 255})),
        ("c", "SMALLINT", "int16", json!({"int16": -32768})),
        ("d", "SMALLINT UNSIGNED", "uint16", json!({"uint16": 65535})),
        ("e", "MEDIUMINT", "int32", json!({"int32": -8388608})),
        ("f", "MEDIUMINT UNSIGNED", "uint32", json!({"uint32": 16777215})),
        ("g", "INT", "int32", json!({"int32": i32::MIN})),
        ("h", "INT UNSIGNED", "uint32", json!({"uint32": u32::MAX})),
        ("i", "BIGINT", "int64", json!({"int64": i64::MIN})),
        ("j", "BIGINT UNSIGNED", "uint64", json!({"uint64": u64::MAX})),
        ("k", "FLOAT", "floating32", json!({"floating32": 0.1})),
        ("l", "DOUBLE", "floating64", json!({"floating64": -0.25})),
        (
            "m",
            "VARCHAR(9) CHARACTER SET utf8mb4",
            "str",
            json!({"str": "ü😀"}),
        ),
        ("n", "TEXT", "str", json!({"str": ""})),
        ("o", "VARBINARY(9)", "binary", json!({"binary": "0x00ff80"})),
        ("p", "BLOB", "binary", json!({"binary": []})),
        ("q", "BOOLEAN", "int8", json!({"int8": 1})),
        ("r", "INT", "int32", json!("db-null")),
        ("s", "DECIMAL(5, 2)", "other", json!("db-null")),
    ];
    let columns: Vec<_> = types
        .iter()
        .map(|(name, kind, ..)| format!("{name} {kind}"))
        .collect();
    let parameters: Vec<_> = types
        .iter()
        .map(|(name, .., value)| {
            if *name == "q" {
                json!({"boolean": true})
            } else {
                value.clone()
            }
        })
        .collect();
    let row: Vec<_> = types.iter().map(|(.., value)| value.clone()).collect();
    let described: Vec<_> = types
        .iter()
        .map(|(name, _, kind, _)| (*name, json!(kind)))
        .collect();
    let marks = vec!["?"; types.len()].join(", ");
    let unconverted = json!({"value-conversion-failed": "Cannot convert value…"});
    let unconverted = if streamed {
        json!({"late": {"columns": "…", "rows": [], "err": unconverted}})
    } else {
        err(unconverted)
    };
    let run = |function: &'static str, statement: &str, parameters: Value, expected: Value| {
        call(function, json!([first, statement, parameters]), expected)
    };
    let failed = |text: &str| err(json!({"query-failed": text}));
    vec![
        run(
            "execute",
            &format!("CREATE TABLE {table} ({})", columns.join(", ")),
            json!([]),
            ok(()),
        ),
        run(
            "execute",
            &format!("INSERT INTO {table} VALUES ({marks})"),
            json!(parameters),
            ok(()),
        ),
        run(
            "query",
            &format!("SELECT * FROM {table}"),
            json!([]),
            answer(&described, json!([row])),
        )
        .when("values of all types"),
        run(
            "query",
            &format!("SELECT g FROM {table} WHERE g = ?"),
            json!([{"int32": 1}]),
            ok(json!({"columns": "…", "rows": []})),
        )
        .when("there is no row"),
        run(
            "query",
            "SELECT CAST(1.5 AS DECIMAL(5, 2)) d",
            json!([]),
            unconverted,
        )
        .when("the type is not supported"),
        run("query", "SELECT * FROM missing", json!([]), failed("…missing…")).when("there is no such table"),
        run("execute", "NONSENSE", json!([]), failed("Server(ServerError { code: 1064, message: \"You have an error in your SQL syntax; …\", state: \"42000\" })")).when("the syntax is wrong"),
        run("execute", &format!("DROP TABLE {table}"), json!([]), ok(())),
    ]
}

use std::path::Path;

use futures::StreamExt as _;

use super::*;
use crate::host::sqlite::testing::{execute, rows, text, value};

fn in_memory() -> Arc<dyn Connection> {
    LocalDatabase::new(None, false, &FileQueues::default()).connect()
}

fn at(path: &Path) -> Arc<dyn Connection> {
    LocalDatabase::new(Some(path.into()), false, &FileQueues::default()).connect()
}

#[tokio::test]
async fn every_type_goes_in_and_out() {
    let connection = in_memory();
    let values = vec![
        Value::Integer(i64::MIN),
        Value::Integer(i64::MAX),
        Value::Real(f64::NEG_INFINITY),
        Value::Real(5e-324),
        Value::Text("a\0b\u{1F600}".into()),
        Value::Text(String::new()),
        Value::Blob(vec![0, 255]),
        Value::Blob(Vec::new()),
        Value::Null,
    ];
    let sql = "CREATE TABLE t (a, b, c, d, e, f, g, h, i)";
    let created = execute(&*connection, sql).await.unwrap();
    assert!(created.columns.is_empty() && created.rows.is_empty());
    let sql = "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    connection.execute(sql.into(), values.clone()).await.unwrap();
    let result = execute(&*connection, "SELECT * FROM t").await.unwrap();
    assert_eq!(result.columns, ["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    assert_eq!(format!("{:?}", result.rows[0].values), format!("{values:?}"));
}

#[tokio::test]
async fn what_is_not_a_number_is_null() {
    let nan = vec![Value::Real(f64::NAN)];
    assert_eq!(value(in_memory().execute("SELECT ?".into(), nan).await), "Null");
}

#[tokio::test]
async fn only_the_first_statement_is_run() {
    let connection = in_memory();
    assert_eq!(
        value(execute(&*connection, "SELECT 1; SELECT 2").await),
        "Integer(1)"
    );
    assert_eq!(
        value(execute(&*connection, "SELECT 1; SELEC 2").await),
        "Integer(1)"
    );
    execute(&*connection, "CREATE TABLE t (a); DROP TABLE t")
        .await
        .unwrap();
    execute(&*connection, "SELECT a FROM t").await.unwrap();
}

#[tokio::test]
async fn errors_are_sqlites_own_words() {
    let connection = in_memory();
    let error = async |sql| text(execute(&*connection, sql).await);
    assert_eq!(
        error("SELEC 1").await,
        "near \"SELEC\": syntax error in SELEC 1 at offset 0"
    );
    assert_eq!(
        error("  SELECT a,\n  b  ").await,
        "no such column: a in SELECT a,\n  b at offset 7"
    );
    assert_eq!(error("SELECT * FROM t").await, "no such table: t");
    assert_eq!(error("").await, "bad parameter or other API misuse");
    assert_eq!(error("-- nothing").await, "bad parameter or other API misuse");
    execute(&*connection, "CREATE TABLE t (a UNIQUE)").await.unwrap();
    execute(&*connection, "INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(
        error("INSERT INTO t VALUES (1)").await,
        "UNIQUE constraint failed: t.a"
    );
    assert_eq!(error("").await, "bad parameter or other API misuse");
}

#[tokio::test]
async fn parameters_are_counted() {
    let connection = in_memory();
    let one = || vec![Value::Integer(1)];
    let result = connection.execute("SELECT ?, ?".into(), one()).await;
    assert_eq!(
        text(result),
        "Wrong number of parameters passed to query. Got 1, needed 2"
    );
    let result = connection.execute("SELECT 1".into(), one()).await;
    assert_eq!(
        text(result),
        "Wrong number of parameters passed to query. Got 1, needed 0"
    );
    let result = connection.execute("SELECT ?1 + ?1".into(), one()).await;
    assert_eq!(value(result), "Integer(2)");
    // A value of the run before is never left over.
    let result = execute(&*connection, "SELECT ?1 + ?1").await;
    assert_eq!(
        text(result),
        "Wrong number of parameters passed to query. Got 0, needed 1"
    );
}

#[tokio::test]
async fn what_is_not_utf_8_is_an_error() {
    let connection = in_memory();
    let error = text(execute(&*connection, "SELECT CAST(x'ff' AS TEXT)").await);
    assert!(
        error.starts_with("the text in column 0 is not UTF-8: "),
        "{error}"
    );
    assert_eq!(value(execute(&*connection, "SELECT 1").await), "Integer(1)");
}

#[tokio::test]
async fn files_are_attached_only_where_that_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    let attach = format!("ATTACH '{}' AS other", path.display());
    let connection = in_memory();
    for refused in [
        attach.clone(),
        format!("ATTACH '{}' || '' AS other", path.display()),
        "ATTACH 'file::memory:' AS other".into(),
    ] {
        assert_eq!(
            text(execute(&*connection, &refused).await),
            "not authorized",
            "{refused}"
        );
    }
    let computed = connection.execute(
        "ATTACH ? AS other".into(),
        vec![Value::Text(path.to_str().unwrap().into())],
    );
    assert_eq!(text(computed.await), "not authorized");
    let copy = format!("VACUUM INTO '{}'", path.display());
    assert_eq!(text(execute(&*connection, &copy).await), "authorization denied");
    assert!(!path.exists());
    execute(&*connection, "ATTACH '' AS one").await.unwrap();
    execute(&*connection, "ATTACH ':memory:' AS two").await.unwrap();
    execute(&*connection, "VACUUM").await.unwrap();
    let connection = LocalDatabase::new(None, true, &FileQueues::default()).connect();
    execute(&*connection, &attach).await.unwrap();
    execute(&*connection, "CREATE TABLE other.t (a)").await.unwrap();
    assert!(path.exists());
}

#[tokio::test]
async fn settings_of_the_whole_process_are_refused() {
    let connection = in_memory();
    for pragma in [
        "hard_heap_limit = 1",
        "SOFT_HEAP_LIMIT(1)",
        "temp_store_directory = '/'",
    ] {
        let sql = format!("PRAGMA {pragma}");
        assert_eq!(text(execute(&*connection, &sql).await), "not authorized");
    }
    assert_eq!(
        text(execute(&*connection, "SELECT load_extension('x')").await),
        "not authorized"
    );
}

#[tokio::test]
async fn foreign_keys_are_enforced_and_the_journal_is_sqlites_default() {
    let directory = tempfile::tempdir().unwrap();
    let connection = at(&directory.path().join("data.db"));
    let pragma = async |name: &str| value(execute(&*connection, &format!("PRAGMA {name}")).await);
    assert_eq!(pragma("foreign_keys").await, "Integer(1)");
    assert_eq!(pragma("journal_mode").await, "Text(\"delete\")");
    assert_eq!(pragma("busy_timeout").await, "Integer(5000)");
    execute(&*connection, "CREATE TABLE a (id INTEGER PRIMARY KEY)")
        .await
        .unwrap();
    execute(&*connection, "CREATE TABLE b (a REFERENCES a (id))")
        .await
        .unwrap();
    assert_eq!(
        text(execute(&*connection, "INSERT INTO b VALUES (1)").await),
        "FOREIGN KEY constraint failed"
    );
}

#[tokio::test]
async fn changes_and_the_last_rowid_are_the_connections() {
    let connection = in_memory();
    assert_eq!(connection.changes().await.unwrap(), 0);
    execute(&*connection, "CREATE TABLE t (a)").await.unwrap();
    execute(&*connection, "INSERT INTO t VALUES (1), (2), (3)")
        .await
        .unwrap();
    assert_eq!(connection.changes().await.unwrap(), 3);
    assert_eq!(connection.last_insert_rowid().await.unwrap(), 3);
    execute(&*connection, "UPDATE t SET a = 0 WHERE a > 1")
        .await
        .unwrap();
    assert_eq!(connection.changes().await.unwrap(), 2);
    assert_eq!(connection.last_insert_rowid().await.unwrap(), 3);
}

#[tokio::test]
async fn each_connection_without_a_file_has_a_database_of_its_own() {
    let database = LocalDatabase::new(None, false, &FileQueues::default());
    let (one, two) = (database.connect(), database.connect());
    execute(&*one, "CREATE TABLE t (a)").await.unwrap();
    assert_eq!(text(execute(&*two, "SELECT * FROM t").await), "no such table: t");
}

#[tokio::test]
async fn a_transaction_left_open_is_rolled_back_with_its_connection() {
    let directory = tempfile::tempdir().unwrap();
    // The directory of the file need not be there.
    let path = directory.path().join("new").join("data.db");
    let (one, two) = (at(&path), at(&path));
    execute(&*one, "CREATE TABLE t (a)").await.unwrap();
    execute(&*one, "BEGIN IMMEDIATE").await.unwrap();
    execute(&*one, "INSERT INTO t VALUES (1)").await.unwrap();
    drop(one);
    // Waits for the lock, if the first connection has not quite gone.
    execute(&*two, "INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(value(execute(&*two, "SELECT a FROM t").await), "Integer(2)");
}

#[tokio::test]
async fn a_long_statement_ends_with_its_connection() {
    let database = LocalDatabase::new(None, false, &FileQueues::default());
    let connection = database.connect();
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    {
        let mut running = std::pin::pin!(execute(&*connection, endless));
        assert!(futures::poll!(&mut running).is_pending());
        assert_eq!(database.places.available_permits(), MAX_OPEN - 1);
    }
    drop(connection);
    // All places are free again when the thread has ended.
    let all = u32::try_from(MAX_OPEN).unwrap();
    drop(database.places.acquire_many(all).await.unwrap());
}

#[tokio::test]
async fn there_are_only_so_many_threads() {
    let database = LocalDatabase::new(None, false, &FileQueues::default());
    let _others = database
        .places
        .clone()
        .acquire_many_owned(MAX_OPEN as u32)
        .await
        .unwrap();
    assert_eq!(text(execute(&*database.connect(), "SELECT 1").await), TOO_MANY);
}

#[tokio::test]
async fn a_file_that_can_not_be_opened_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.db");
    std::fs::create_dir(&path).unwrap();
    let connection = at(&path);
    let error = text(execute(&*connection, "SELECT 1").await);
    assert!(error.starts_with("unable to open database file"), "{error}");
    std::fs::remove_dir(&path).unwrap();
    assert_eq!(value(execute(&*connection, "SELECT 1").await), "Integer(1)");
}

#[tokio::test]
async fn a_result_has_a_limit() {
    let connection = in_memory();
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3) SELECT zeroblob(50000000) FROM n";
    assert_eq!(
        text(execute(&*connection, sql).await),
        "query result exceeds limit of 134217728 bytes"
    );
    assert_eq!(
        text(execute(&*connection, "SELECT zeroblob(134217729)").await),
        "query result exceeds limit of 134217728 bytes"
    );
    let large = execute(&*connection, "SELECT zeroblob(134217000)").await.unwrap();
    assert!(matches!(&large.rows[0].values[0], Value::Blob(blob) if blob.len() == 134_217_000));
}

const NUMBERS: &str =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i FROM n";

/// The number of rows, and how they ended.
async fn read(rows: Rows) -> (usize, Result<(), Error>) {
    let mut count = rows.first.rows.len();
    let mut end = rows.first.end;
    let mut rest = rows.rest;
    while let Some(batch) = rest.next().await {
        assert!(end.is_none());
        count += batch.rows.len();
        end = batch.end;
    }
    (count, end.unwrap())
}

#[tokio::test]
async fn rows_are_read_as_they_are_wanted() {
    let connection = in_memory();
    let rows = connection.query(NUMBERS.into(), Vec::new()).await;
    assert_eq!(rows.columns, ["i"]);
    assert!(rows.first.end.is_none());
    let (count, end) = read(rows).await;
    assert_eq!((count, end.is_ok()), (1000, true));
}

#[tokio::test]
async fn other_statements_go_on_between_the_rows() {
    let connection = in_memory();
    let (one, two) = (
        connection.query(NUMBERS.into(), Vec::new()).await,
        connection.query(NUMBERS.into(), Vec::new()).await,
    );
    assert_eq!(value(execute(&*connection, "SELECT 1").await), "Integer(1)");
    assert_eq!(read(two).await.0, 1000);
    assert_eq!(read(one).await.0, 1000);
}

#[tokio::test]
async fn a_statement_without_rows_has_run_when_its_query_returns() {
    let connection = in_memory();
    let created = connection.query("CREATE TABLE t (a)".into(), Vec::new()).await;
    assert!(created.columns.is_empty() && matches!(created.first.end, Some(Ok(()))));
    drop(created);
    execute(&*connection, "SELECT * FROM t").await.unwrap();
}

#[tokio::test]
async fn an_error_of_the_text_leaves_no_columns_and_no_rows() {
    let rows = in_memory().query("SELEC 1".into(), Vec::new()).await;
    assert!(rows.columns.is_empty() && rows.first.rows.is_empty());
    let Some(Err(Error::Io(text))) = rows.first.end else {
        panic!("no error");
    };
    assert_eq!(text, "near \"SELEC\": syntax error in SELEC 1 at offset 0");
}

#[tokio::test]
async fn an_error_of_the_parameters_leaves_the_columns() {
    let rows = in_memory().query("SELECT ? AS a".into(), Vec::new()).await;
    assert_eq!(rows.columns, ["a"]);
    assert!(rows.first.rows.is_empty());
    assert!(matches!(rows.first.end, Some(Err(Error::Io(text))) if text.ends_with("Got 0, needed 1")));
}

#[tokio::test]
async fn an_error_of_a_row_comes_after_the_rows_before_it() {
    let sql = "SELECT abs(column1) FROM (VALUES (1), (2), (-9223372036854775807 - 1))";
    let rows = in_memory().query(sql.into(), Vec::new()).await;
    assert_eq!(rows.columns, ["abs(column1)"]);
    let (count, end) = read(rows).await;
    assert_eq!(count, 2);
    assert!(matches!(end, Err(Error::Io(text)) if text == "integer overflow"));
}

#[tokio::test]
async fn rows_that_nobody_reads_hold_no_lock() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.db");
    let connection = at(&path);
    execute(&*connection, "CREATE TABLE t (a)").await.unwrap();
    let fill = format!("INSERT INTO t {NUMBERS}");
    execute(&*connection, &fill).await.unwrap();
    let rows = connection.query("SELECT a FROM t".into(), Vec::new()).await;
    assert!(rows.first.end.is_none());
    drop(rows);
    let other = at(&path);
    execute(&*other, "PRAGMA busy_timeout = 0").await.unwrap();
    execute(&*connection, "SELECT 1").await.unwrap();
    execute(&*other, "DROP TABLE t").await.unwrap();
}

#[tokio::test]
async fn rows_outlive_the_connections_handle() {
    let connection = in_memory();
    let rows = connection.query(NUMBERS.into(), Vec::new()).await;
    drop(connection);
    assert_eq!(read(rows).await.0, 1000);
}

#[tokio::test]
async fn what_spin_up_left_is_read_and_added_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sqlite_db.db");
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/spin-up-state/sqlite_db.db"
    );
    std::fs::copy(fixture, &path).unwrap();
    let connection = at(&path);
    let notes = rows(execute(&*connection, "SELECT * FROM notes").await);
    assert!(notes.contains("first") && notes.contains("second"), "{notes}");
    let before = value(execute(&*connection, "SELECT count(*) FROM notes").await);
    execute(&*connection, "INSERT INTO notes SELECT * FROM notes WHERE 0")
        .await
        .unwrap();
    assert_eq!(
        value(execute(&*connection, "SELECT count(*) FROM notes").await),
        before
    );
}

#[tokio::test]
async fn many_writers_of_one_file_all_come_to_their_turn() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.db");
    let database = LocalDatabase::new(Some(path), false, &FileQueues::default());
    execute(&*database.connect(), "CREATE TABLE t (a)").await.unwrap();
    let writers = (0..16).map(|_| {
        let connection = database.connect();
        async move {
            execute(&*connection, "INSERT INTO t VALUES (1) RETURNING a")
                .await
                .unwrap();
            let rows = connection
                .query("INSERT INTO t VALUES (2)".into(), Vec::new())
                .await;
            assert!(matches!(rows.first.end, Some(Ok(()))));
        }
    });
    futures::future::join_all(writers).await;
    assert_eq!(
        value(execute(&*database.connect(), "SELECT sum(a) FROM t").await),
        "Integer(48)"
    );
}

#[tokio::test]
async fn a_connection_with_a_patience_of_its_own_does_not_queue() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.db");
    let database = LocalDatabase::new(Some(path), false, &FileQueues::default());
    let (one, two) = (database.connect(), database.connect());
    execute(&*one, "CREATE TABLE t (a)").await.unwrap();
    execute(&*two, "PRAGMA busy_timeout = 0").await.unwrap();
    execute(&*one, "BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(
        text(execute(&*two, "INSERT INTO t VALUES (1)").await),
        "database is locked"
    );
    // The queue itself is taken.
    let signals = Signals::default();
    let queue = database.queue.clone().unwrap();
    let _turn = queue
        .enter(false, std::time::Duration::ZERO, &signals.closing)
        .unwrap();
    assert_eq!(
        text(execute(&*two, "INSERT INTO t VALUES (1)").await),
        "database is locked"
    );
}

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::host::sqlite::connection::{Connection, Database, Error, QueryResult};
use crate::host::sqlite::local::{FileQueues, LocalDatabase, MAX_OPEN};
use crate::host::sqlite::testing::{execute, value};

const INSERT: &str = "INSERT INTO t VALUES (1)";
const COUNT: &str = "SELECT count(*) FROM t";

/// With an empty table `t`.
async fn database(directory: &TempDir) -> LocalDatabase {
    let path = directory.path().join("data.db");
    let database = LocalDatabase::new(Some(path), false, &FileQueues::default());
    execute(&*database.connect(), "CREATE TABLE t (a)").await.unwrap();
    database
}

/// Has the file to itself, as another program would, until it is dropped.
fn lock(path: &Path) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    other
}

fn spawn(connection: Arc<dyn Connection>, sql: &'static str) -> JoinHandle<Result<QueryResult, Error>> {
    tokio::spawn(async move { execute(&*connection, sql).await })
}

/// Returns when `count` are in the line; none of them may have ended.
async fn in_line(database: &LocalDatabase, count: usize, last: &JoinHandle<Result<QueryResult, Error>>) {
    while database.queue.as_ref().unwrap().len() < count {
        assert!(!last.is_finished(), "it did not take a place");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn whoever_meets_a_lock_is_served_in_the_order_of_arrival() {
    let directory = tempfile::tempdir().unwrap();
    let database = database(&directory).await;
    let knows_the_schema = database.connect();
    execute(&*knows_the_schema, COUNT).await.unwrap();
    let lock = lock(database.path.as_ref().unwrap());
    let mut calls = Vec::new();
    for (connection, sql) in [
        (database.connect(), INSERT),
        (database.connect(), COUNT),
        (knows_the_schema, COUNT),
        (database.connect(), COUNT),
        (database.connect(), INSERT),
        (database.connect(), INSERT),
        (database.connect(), COUNT),
    ] {
        calls.push(spawn(connection, sql));
        in_line(&database, calls.len(), calls.last().unwrap()).await;
    }
    drop(lock);
    let mut seen = Vec::new();
    for call in calls {
        let result = call.await.unwrap().unwrap();
        if !result.rows.is_empty() {
            seen.push(value(Ok(result)));
        }
    }
    assert_eq!(seen, ["Integer(1)", "Integer(1)", "Integer(1)", "Integer(3)"]);
}

#[tokio::test]
async fn a_connection_that_others_wait_for_does_not_stand_behind_them() {
    let directory = tempfile::tempdir().unwrap();
    let database = database(&directory).await;
    let fill = "INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i FROM n";
    execute(&*database.connect(), fill).await.unwrap();
    let reader = database.connect();
    let rows = reader.query("SELECT a FROM t".into(), Vec::new()).await;
    assert!(rows.first.end.is_none());
    let writer = spawn(database.connect(), INSERT);
    in_line(&database, 1, &writer).await;
    // Whether it finds a lock depends on how far the other has come.
    let insert = spawn(reader, INSERT);
    while !insert.is_finished() {
        assert_eq!(database.queue.as_ref().unwrap().len(), 1);
        tokio::task::yield_now().await;
    }
    drop(rows);
    writer.await.unwrap().unwrap();
}

#[tokio::test]
async fn waiting_ends_with_the_connection() {
    let directory = tempfile::tempdir().unwrap();
    let database = database(&directory).await;
    let _lock = lock(database.path.as_ref().unwrap());
    let calls = [
        spawn(database.connect(), INSERT),
        spawn(database.connect(), INSERT),
    ];
    in_line(&database, 2, &calls[0]).await;
    for call in calls {
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    }
    let all = u32::try_from(MAX_OPEN).unwrap();
    drop(database.places.acquire_many(all).await.unwrap());
    assert_eq!(database.queue.as_ref().unwrap().len(), 0);
}

#[tokio::test]
async fn a_guest_sees_the_patience_that_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let database = database(&directory).await;
    for question in ["PRAGMA busy_timeout", "SELECT timeout FROM pragma_busy_timeout"] {
        let connection = database.connect();
        assert_eq!(value(execute(&*connection, question).await), "Integer(5000)");
        let connection = database.connect();
        assert_eq!(
            value(execute(&*connection, "PRAGMA busy_timeout = 7").await),
            "Integer(7)"
        );
        assert_eq!(value(execute(&*connection, question).await), "Integer(7)");
    }
}

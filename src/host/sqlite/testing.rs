//! Short ways to ask a connection, for the tests of this room.

use super::connection::{Connection, Error, QueryResult};

pub(super) async fn execute(connection: &dyn Connection, sql: &str) -> Result<QueryResult, Error> {
    connection.execute(sql.into(), Vec::new()).await
}

/// The rows, or the error, as text.
pub(super) fn rows(result: Result<QueryResult, Error>) -> String {
    match result {
        Ok(result) => format!("{:?}", result.rows),
        Err(error) => format!("{error:?}"),
    }
}

/// The only value of the only row.
pub(super) fn value(result: Result<QueryResult, Error>) -> String {
    let result = result.unwrap();
    let [row] = &result.rows[..] else {
        panic!("not one row: {result:?}");
    };
    let [value] = &row.values[..] else {
        panic!("not one value: {row:?}");
    };
    let value = format!("{value:?}");
    value.trim_start_matches("Value::").to_owned()
}

/// The error's text.
pub(super) fn text(result: Result<QueryResult, Error>) -> String {
    match result {
        Err(Error::Io(text)) => text,
        other => panic!("not an error with a text: {other:?}"),
    }
}

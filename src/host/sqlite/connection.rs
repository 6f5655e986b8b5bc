//! What a database of either kind gives to the interface.

use std::fmt::Display;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;

pub(super) use super::bindings::spin::sqlite::sqlite::{Error, QueryResult, RowResult, Value};
use crate::host::limits::{MAX_BUFFERED, TOO_LARGE};

/// What stands behind a label.
pub(super) trait Database: Send + Sync {
    /// A connection of its own. Nothing is opened before its first statement, so this can't fail.
    fn connect(&self) -> Arc<dyn Connection>;
}

/// One connection. Its transaction, temporary tables and settings end with it; so does a statement that still runs.
#[async_trait]
pub(super) trait Connection: Send + Sync {
    /// Runs the first statement of `sql` to its end.
    async fn execute(&self, sql: String, parameters: Vec<Value>) -> Result<QueryResult, Error>;

    /// Begins the first statement of `sql`; it has ended when no more rows come.
    async fn query(&self, sql: String, parameters: Vec<Value>) -> Rows;

    /// Rows that the last statement changed.
    async fn changes(&self) -> Result<u64, Error>;

    /// The rowid of the last row that this connection inserted.
    async fn last_insert_rowid(&self) -> Result<i64, Error>;
}

/// A statement that was begun.
pub(super) struct Rows {
    pub(super) columns: Vec<String>,
    /// Already there, so that a statement without rows is over without anyone reading them.
    pub(super) first: Batch,
    /// Empty when `first` has the end.
    pub(super) rest: BoxStream<'static, Batch>,
}

/// Some rows of a statement, and how it ended if these are the last.
pub(super) struct Batch {
    pub(super) rows: Vec<RowResult>,
    pub(super) end: Option<Result<(), Error>>,
}

impl Rows {
    /// A statement that is over.
    pub(super) fn complete(result: Result<QueryResult, Error>) -> Self {
        let (result, end) = match result {
            Ok(result) => (result, Ok(())),
            Err(error) => (
                QueryResult {
                    columns: Vec::new(),
                    rows: Vec::new(),
                },
                Err(error),
            ),
        };
        Self {
            columns: result.columns,
            first: Batch {
                rows: result.rows,
                end: Some(end),
            },
            rest: Box::pin(futures::stream::empty()),
        }
    }
}

/// The error that carries a text, which is what nearly all are.
pub(super) fn io(text: impl Display) -> Error {
    Error::Io(text.to_string())
}

/// Bytes that the host holds for a row.
pub(super) fn size(row: &RowResult) -> usize {
    let owned = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Blob(blob) => blob.len(),
        Value::Integer(_) | Value::Real(_) | Value::Null => 0,
    };
    row.values
        .iter()
        .map(|value| size_of::<Value>() + owned(value))
        .sum()
}

/// Adds `row` to what is held already, within the limit of one result.
pub(super) fn hold(held: &mut usize, row: &RowResult) -> Result<(), Error> {
    *held = held.saturating_add(size(row));
    if *held > MAX_BUFFERED {
        return Err(io(TOO_LARGE));
    }
    Ok(())
}

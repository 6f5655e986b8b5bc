//! Values as the guest has them, and as the server has them.

use libsql_hrana::proto::{StmtResult, Value as ServerValue};

use super::super::connection::{Error, QueryResult, RowResult, Value, hold, io};

pub(super) fn to_server(value: Value) -> Result<ServerValue, Error> {
    Ok(match value {
        Value::Null => ServerValue::Null,
        Value::Integer(value) => ServerValue::Integer { value },
        // As SQLite takes it.
        Value::Real(value) if value.is_nan() => ServerValue::Null,
        Value::Real(value) if value.is_infinite() => {
            return Err(io(
                "an infinite number can't be sent to a libSQL server: JSON has none",
            ));
        }
        Value::Real(value) => ServerValue::Float { value },
        Value::Text(text) => ServerValue::Text { value: text.into() },
        Value::Blob(blob) => ServerValue::Blob { value: blob.into() },
    })
}

pub(super) fn from_server(result: StmtResult) -> Result<QueryResult, Error> {
    let columns = result
        .cols
        .into_iter()
        .map(|column| column.name.unwrap_or_default());
    let mut held = 0;
    let mut rows = Vec::with_capacity(result.rows.len());
    for row in result.rows {
        let row = RowResult {
            values: row.values.into_iter().map(value).collect(),
        };
        hold(&mut held, &row)?;
        rows.push(row);
    }
    Ok(QueryResult {
        columns: columns.collect(),
        rows,
    })
}

fn value(value: ServerValue) -> Value {
    match value {
        ServerValue::None | ServerValue::Null => Value::Null,
        ServerValue::Integer { value } => Value::Integer(value),
        ServerValue::Float { value } => Value::Real(value),
        ServerValue::Text { value } => Value::Text(value.as_ref().into()),
        ServerValue::Blob { value } => Value::Blob(value.into()),
    }
}

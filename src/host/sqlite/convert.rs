//! The older versions' types, which are the same again: to and from those of the latest.

use super::bindings::fermyon;
use super::connection::{Error, QueryResult, Value};

macro_rules! same_types {
    ($version:path) => {
        const _: () = {
            use $version as old;

            impl From<old::Value> for Value {
                fn from(value: old::Value) -> Self {
                    match value {
                        old::Value::Integer(integer) => Value::Integer(integer),
                        old::Value::Real(real) => Value::Real(real),
                        old::Value::Text(text) => Value::Text(text),
                        old::Value::Blob(blob) => Value::Blob(blob),
                        old::Value::Null => Value::Null,
                    }
                }
            }

            impl From<Value> for old::Value {
                fn from(value: Value) -> Self {
                    match value {
                        Value::Integer(integer) => old::Value::Integer(integer),
                        Value::Real(real) => old::Value::Real(real),
                        Value::Text(text) => old::Value::Text(text),
                        Value::Blob(blob) => old::Value::Blob(blob),
                        Value::Null => old::Value::Null,
                    }
                }
            }

            impl From<QueryResult> for old::QueryResult {
                fn from(result: QueryResult) -> Self {
                    let rows = result.rows.into_iter().map(|row| old::RowResult {
                        values: row.values.into_iter().map(Into::into).collect(),
                    });
                    old::QueryResult {
                        columns: result.columns,
                        rows: rows.collect(),
                    }
                }
            }

            impl From<Error> for old::Error {
                fn from(error: Error) -> Self {
                    match error {
                        Error::NoSuchDatabase => old::Error::NoSuchDatabase,
                        Error::AccessDenied => old::Error::AccessDenied,
                        Error::InvalidConnection => old::Error::InvalidConnection,
                        Error::DatabaseFull => old::Error::DatabaseFull,
                        Error::Io(text) => old::Error::Io(text),
                    }
                }
            }
        };
    };
}

same_types!(fermyon::spin::sqlite);
same_types!(fermyon::spin2_0_0::sqlite);

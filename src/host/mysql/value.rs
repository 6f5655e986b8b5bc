//! Columns and values, as every version of the interface has them.

use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Row, Value as Raw};

use super::error::Error;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DataType {
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Floating32,
    Floating64,
    Str,
    Binary,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) data_type: DataType,
}

/// One value of a row, or a parameter of a statement, which alone may be a boolean.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Boolean(bool),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Uint8(u8),
    Uint16(u16),
    Uint32(u32),
    Uint64(u64),
    Floating32(f32),
    Floating64(f64),
    Str(String),
    Binary(Vec<u8>),
    Null,
}

impl Column {
    pub(super) fn of(columns: &[mysql_async::Column]) -> Vec<Self> {
        columns
            .iter()
            .map(|column| Self {
                name: column.name_str().into_owned(),
                data_type: DataType::of(column.column_type(), column.flags()),
            })
            .collect()
    }
}

impl DataType {
    fn of(column: ColumnType, flags: ColumnFlags) -> Self {
        let unsigned = flags.contains(ColumnFlags::UNSIGNED_FLAG);
        // Also set for text that is compared byte by byte.
        let binary = flags.contains(ColumnFlags::BINARY_FLAG);
        match column {
            ColumnType::MYSQL_TYPE_TINY if unsigned => Self::Uint8,
            ColumnType::MYSQL_TYPE_TINY => Self::Int8,
            ColumnType::MYSQL_TYPE_SHORT if unsigned => Self::Uint16,
            ColumnType::MYSQL_TYPE_SHORT => Self::Int16,
            ColumnType::MYSQL_TYPE_INT24 | ColumnType::MYSQL_TYPE_LONG if unsigned => Self::Uint32,
            ColumnType::MYSQL_TYPE_INT24 | ColumnType::MYSQL_TYPE_LONG => Self::Int32,
            ColumnType::MYSQL_TYPE_LONGLONG if unsigned => Self::Uint64,
            ColumnType::MYSQL_TYPE_LONGLONG => Self::Int64,
            ColumnType::MYSQL_TYPE_FLOAT => Self::Floating32,
            ColumnType::MYSQL_TYPE_DOUBLE => Self::Floating64,
            ColumnType::MYSQL_TYPE_STRING
            | ColumnType::MYSQL_TYPE_VAR_STRING
            | ColumnType::MYSQL_TYPE_VARCHAR
            | ColumnType::MYSQL_TYPE_TINY_BLOB
            | ColumnType::MYSQL_TYPE_BLOB
            | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
            | ColumnType::MYSQL_TYPE_LONG_BLOB => {
                if binary {
                    Self::Binary
                } else {
                    Self::Str
                }
            }
            _ => Self::Other,
        }
    }
}

impl Value {
    /// What it takes in memory.
    fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Str(text) => text.len(),
                Self::Binary(bytes) => bytes.len(),
                _ => 0,
            }
    }

    fn of(raw: Raw, column: &Column) -> Result<Self, Error> {
        if raw == Raw::NULL {
            return Ok(Self::Null);
        }
        let value = match (column.data_type, &raw) {
            (DataType::Int8, _) => integer(&raw).map(Self::Int8),
            (DataType::Int16, _) => integer(&raw).map(Self::Int16),
            (DataType::Int32, _) => integer(&raw).map(Self::Int32),
            (DataType::Int64, _) => integer(&raw).map(Self::Int64),
            (DataType::Uint8, _) => integer(&raw).map(Self::Uint8),
            (DataType::Uint16, _) => integer(&raw).map(Self::Uint16),
            (DataType::Uint32, _) => integer(&raw).map(Self::Uint32),
            (DataType::Uint64, _) => integer(&raw).map(Self::Uint64),
            (DataType::Floating32, Raw::Float(number)) => Some(Self::Floating32(*number)),
            (DataType::Floating64, Raw::Double(number)) => Some(Self::Floating64(*number)),
            (DataType::Floating64, Raw::Float(number)) => Some(Self::Floating64((*number).into())),
            (DataType::Str | DataType::Binary, _) => return Self::bytes(raw, column),
            _ => None,
        };
        value.ok_or_else(|| cannot_convert(&raw, column))
    }

    fn bytes(raw: Raw, column: &Column) -> Result<Self, Error> {
        match (raw, column.data_type) {
            (Raw::Bytes(bytes), DataType::Binary) => Ok(Self::Binary(bytes)),
            (Raw::Bytes(bytes), _) => String::from_utf8(bytes)
                .map(Self::Str)
                .map_err(|error| cannot_convert(&Raw::Bytes(error.into_bytes()), column)),
            (raw, _) => Err(cannot_convert(&raw, column)),
        }
    }
}

fn integer<T: TryFrom<i64> + TryFrom<u64>>(raw: &Raw) -> Option<T> {
    match raw {
        Raw::Int(number) => T::try_from(*number).ok(),
        Raw::UInt(number) => T::try_from(*number).ok(),
        _ => None,
    }
}

fn cannot_convert(raw: &Raw, column: &Column) -> Error {
    Error::ValueConversionFailed(format!(
        "Cannot convert value {raw:?} in column {} data type DbDataType::{:?}",
        column.name, column.data_type
    ))
}

/// The values of a row, and what they take in memory.
pub(super) fn convert_row(row: Row, columns: &[Column]) -> Result<(Vec<Value>, usize), Error> {
    let mut values = Vec::with_capacity(columns.len());
    let mut size = size_of::<Vec<Value>>();
    for (raw, column) in row.unwrap().into_iter().zip(columns) {
        let value = Value::of(raw, column)?;
        size += value.size();
        values.push(value);
    }
    Ok((values, size))
}

impl From<Value> for Raw {
    fn from(value: Value) -> Self {
        match value {
            Value::Boolean(truth) => Self::from(truth),
            Value::Int8(number) => Self::from(number),
            Value::Int16(number) => Self::from(number),
            Value::Int32(number) => Self::from(number),
            Value::Int64(number) => Self::from(number),
            Value::Uint8(number) => Self::from(number),
            Value::Uint16(number) => Self::from(number),
            Value::Uint32(number) => Self::from(number),
            Value::Uint64(number) => Self::from(number),
            Value::Floating32(number) => Self::from(number),
            Value::Floating64(number) => Self::from(number),
            Value::Str(text) => Self::from(text),
            Value::Binary(bytes) => Self::from(bytes),
            Value::Null => Self::NULL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(data_type: DataType) -> Column {
        Column {
            name: "c".into(),
            data_type,
        }
    }

    #[test]
    fn signs_and_widths_come_from_the_column() {
        let of = |column, flags| DataType::of(column, flags);
        let none = ColumnFlags::empty();
        assert_eq!(of(ColumnType::MYSQL_TYPE_TINY, none), DataType::Int8);
        assert_eq!(of(ColumnType::MYSQL_TYPE_INT24, none), DataType::Int32);
        assert_eq!(
            of(ColumnType::MYSQL_TYPE_LONGLONG, ColumnFlags::UNSIGNED_FLAG),
            DataType::Uint64
        );
        assert_eq!(of(ColumnType::MYSQL_TYPE_NEWDECIMAL, none), DataType::Other);
        assert_eq!(
            of(ColumnType::MYSQL_TYPE_YEAR, ColumnFlags::UNSIGNED_FLAG),
            DataType::Other
        );
    }

    #[test]
    fn text_is_binary_when_its_flag_says_so() {
        let text = ColumnType::MYSQL_TYPE_BLOB;
        assert_eq!(DataType::of(text, ColumnFlags::BLOB_FLAG), DataType::Str);
        assert_eq!(DataType::of(text, ColumnFlags::BINARY_FLAG), DataType::Binary);
    }

    #[test]
    fn values_keep_their_bounds() {
        let of = |raw, data_type| Value::of(raw, &column(data_type));
        assert_eq!(of(Raw::Int(-128), DataType::Int8), Ok(Value::Int8(i8::MIN)));
        assert_eq!(
            of(Raw::UInt(u64::MAX), DataType::Uint64),
            Ok(Value::Uint64(u64::MAX))
        );
        assert_eq!(of(Raw::Int(255), DataType::Uint8), Ok(Value::Uint8(255)));
        assert!(of(Raw::Int(256), DataType::Uint8).is_err());
        assert_eq!(
            of(Raw::Bytes(vec![]), DataType::Str),
            Ok(Value::Str(String::new()))
        );
        assert!(of(Raw::Bytes(vec![255]), DataType::Str).is_err());
        assert_eq!(of(Raw::NULL, DataType::Other), Ok(Value::Null));
    }

    #[test]
    fn what_has_no_type_can_not_be_converted() {
        let error = Value::of(Raw::Bytes(b"1.50".to_vec()), &column(DataType::Other));
        let text = "Cannot convert value Bytes(\"1.50\") in column c data type DbDataType::Other";
        assert_eq!(error, Err(Error::ValueConversionFailed(text.into())));
    }
}

//! Our types and those of each version of the interface, which have the same cases under different names.

use super::bindings::fermyon::spin::mysql::MysqlError;
use super::bindings::fermyon::spin::rdbms_types as v1;
use super::bindings::fermyon::spin2_0_0::rdbms_types as v2;
use super::bindings::spin::mysql::mysql as v3;
use super::error::Error;
use super::value::{Column, DataType, Value};

macro_rules! conversions {
    ($version:ident) => {
        impl From<DataType> for $version::DbDataType {
            fn from(data_type: DataType) -> Self {
                match data_type {
                    DataType::Int8 => Self::Int8,
                    DataType::Int16 => Self::Int16,
                    DataType::Int32 => Self::Int32,
                    DataType::Int64 => Self::Int64,
                    DataType::Uint8 => Self::Uint8,
                    DataType::Uint16 => Self::Uint16,
                    DataType::Uint32 => Self::Uint32,
                    DataType::Uint64 => Self::Uint64,
                    DataType::Floating32 => Self::Floating32,
                    DataType::Floating64 => Self::Floating64,
                    DataType::Str => Self::Str,
                    DataType::Binary => Self::Binary,
                    DataType::Other => Self::Other,
                }
            }
        }

        impl From<Column> for $version::Column {
            fn from(column: Column) -> Self {
                Self {
                    name: column.name,
                    data_type: column.data_type.into(),
                }
            }
        }

        impl From<Value> for $version::DbValue {
            fn from(value: Value) -> Self {
                match value {
                    Value::Boolean(truth) => Self::Boolean(truth),
                    Value::Int8(number) => Self::Int8(number),
                    Value::Int16(number) => Self::Int16(number),
                    Value::Int32(number) => Self::Int32(number),
                    Value::Int64(number) => Self::Int64(number),
                    Value::Uint8(number) => Self::Uint8(number),
                    Value::Uint16(number) => Self::Uint16(number),
                    Value::Uint32(number) => Self::Uint32(number),
                    Value::Uint64(number) => Self::Uint64(number),
                    Value::Floating32(number) => Self::Floating32(number),
                    Value::Floating64(number) => Self::Floating64(number),
                    Value::Str(text) => Self::Str(text),
                    Value::Binary(bytes) => Self::Binary(bytes),
                    Value::Null => Self::DbNull,
                }
            }
        }

        impl From<$version::ParameterValue> for Value {
            fn from(value: $version::ParameterValue) -> Self {
                use $version::ParameterValue;
                match value {
                    ParameterValue::Boolean(truth) => Self::Boolean(truth),
                    ParameterValue::Int8(number) => Self::Int8(number),
                    ParameterValue::Int16(number) => Self::Int16(number),
                    ParameterValue::Int32(number) => Self::Int32(number),
                    ParameterValue::Int64(number) => Self::Int64(number),
                    ParameterValue::Uint8(number) => Self::Uint8(number),
                    ParameterValue::Uint16(number) => Self::Uint16(number),
                    ParameterValue::Uint32(number) => Self::Uint32(number),
                    ParameterValue::Uint64(number) => Self::Uint64(number),
                    ParameterValue::Floating32(number) => Self::Floating32(number),
                    ParameterValue::Floating64(number) => Self::Floating64(number),
                    ParameterValue::Str(text) => Self::Str(text),
                    ParameterValue::Binary(bytes) => Self::Binary(bytes),
                    ParameterValue::DbNull => Self::Null,
                }
            }
        }
    };
}

conversions!(v1);
conversions!(v2);
conversions!(v3);

macro_rules! errors {
    ($error:ty, $other:ident) => {
        impl From<Error> for $error {
            fn from(error: Error) -> Self {
                match error {
                    Error::ConnectionFailed(text) => Self::ConnectionFailed(text),
                    Error::QueryFailed(text) => Self::QueryFailed(text),
                    Error::ValueConversionFailed(text) => Self::ValueConversionFailed(text),
                    Error::Other(text) => Self::$other(text),
                }
            }
        }
    };
}

errors!(MysqlError, OtherError);
errors!(v2::Error, Other);
errors!(v3::Error, Other);

//! Our types and those of each version of the interface, of which newer ones have more cases.

use super::bindings::fermyon::spin::postgres::PgError;
use super::bindings::fermyon::spin::rdbms_types as v1;
use super::bindings::fermyon::spin2_0_0::rdbms_types as v2;
use super::bindings::spin::postgres3_0_0::postgres as v3;
use super::bindings::spin::postgres4_2_0::postgres as v4;
use super::error::{Error, QueryError, Report};
use super::value::{Bound, Column, DataType, Interval, Parameter, Range, RowSet, Value};

const NO_UNSIGNED: &str = "Postgres does not support unsigned integers";

/// The values of a guest for the placeholders of a statement.
pub(super) fn parameters<P>(params: Vec<P>) -> Result<Vec<Parameter>, Error>
where
    Parameter: TryFrom<P, Error = Error>,
{
    params.into_iter().map(Parameter::try_from).collect()
}

/// Every version has the cases that are spelled here. `also` are those that a version has besides, as parameters and in
/// rows; what follows are the arms for those that are not the same on both sides.
macro_rules! conversions {
    (
        $version:ident, also [$($case:ident),*],
        parameters { $($parameters:tt)* }
        data_types { $($data_types:tt)* }
        values { $($values:tt)* }
    ) => {
        impl TryFrom<$version::ParameterValue> for Parameter {
            type Error = Error;

            fn try_from(value: $version::ParameterValue) -> Result<Self, Error> {
                use $version::ParameterValue;
                Ok(match value {
                    ParameterValue::Boolean(value) => Self::Boolean(value),
                    ParameterValue::Int8(value) => Self::Int8(value),
                    ParameterValue::Int16(value) => Self::Int16(value),
                    ParameterValue::Int32(value) => Self::Int32(value),
                    ParameterValue::Int64(value) => Self::Int64(value),
                    ParameterValue::Floating32(value) => Self::Floating32(value),
                    ParameterValue::Floating64(value) => Self::Floating64(value),
                    ParameterValue::Str(value) => Self::Str(value),
                    ParameterValue::Binary(value) => Self::Binary(value),
                    ParameterValue::DbNull => Self::Null,
                    $(ParameterValue::$case(value) => Self::$case(value),)*
                    $($parameters)*
                })
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

        impl From<DataType> for $version::DbDataType {
            fn from(data_type: DataType) -> Self {
                match data_type {
                    DataType::Boolean => Self::Boolean,
                    DataType::Int16 => Self::Int16,
                    DataType::Int32 => Self::Int32,
                    DataType::Int64 => Self::Int64,
                    DataType::Floating32 => Self::Floating32,
                    DataType::Floating64 => Self::Floating64,
                    DataType::Str => Self::Str,
                    DataType::Binary => Self::Binary,
                    $(DataType::$case => Self::$case,)*
                    $($data_types)*
                }
            }
        }

        impl From<Value> for $version::DbValue {
            fn from(value: Value) -> Self {
                match value {
                    Value::Boolean(value) => Self::Boolean(value),
                    Value::Int16(value) => Self::Int16(value),
                    Value::Int32(value) => Self::Int32(value),
                    Value::Int64(value) => Self::Int64(value),
                    Value::Floating32(value) => Self::Floating32(value),
                    Value::Floating64(value) => Self::Floating64(value),
                    Value::Str(value) => Self::Str(value),
                    Value::Binary(value) => Self::Binary(value),
                    Value::Null => Self::DbNull,
                    $(Value::$case(value) => Self::$case(value),)*
                    $($values)*
                }
            }
        }

        impl From<RowSet> for $version::RowSet {
            fn from(set: RowSet) -> Self {
                let row = |row: Vec<_>| row.into_iter().map(Into::into).collect();
                Self {
                    columns: set.columns.into_iter().map(Into::into).collect(),
                    rows: set.rows.into_iter().map(row).collect(),
                }
            }
        }
    };
}

/// The types that these versions share with MySQL.
macro_rules! shared_types {
    ($version:ident) => {
        conversions! {
            $version, also [],
            parameters {
                ParameterValue::Uint8(_)
                | ParameterValue::Uint16(_)
                | ParameterValue::Uint32(_)
                | ParameterValue::Uint64(_) => return Err(Error::ValueConversionFailed(NO_UNSIGNED.into())),
            }
            data_types { _ => Self::Other, }
            values { _ => Self::Unsupported, }
        }
    };
}

shared_types!(v1);
shared_types!(v2);

conversions! {
    v3, also [Date, Time, Datetime],
    parameters { ParameterValue::Timestamp(value) => Self::Timestamp(value), }
    data_types { _ => Self::Other, }
    values { _ => Self::Unsupported, }
}

conversions! {
    v4, also [
        Date, Time, Datetime, Uuid, Jsonb, Decimal, ArrayInt32, ArrayInt64, ArrayDecimal, ArrayStr
    ],
    parameters {
        ParameterValue::Timestamp(value) => Self::Timestamp(value),
        ParameterValue::RangeInt32(value) => Self::RangeInt32(range(value)),
        ParameterValue::RangeInt64(value) => Self::RangeInt64(range(value)),
        ParameterValue::RangeDecimal(value) => Self::RangeDecimal(range(value)),
        ParameterValue::Interval(v4::Interval { micros, days, months }) => {
            Self::Interval(Interval { micros, days, months })
        }
    }
    data_types {
        DataType::RangeInt32 => Self::RangeInt32,
        DataType::RangeInt64 => Self::RangeInt64,
        DataType::RangeDecimal => Self::RangeDecimal,
        DataType::Interval => Self::Interval,
        DataType::Other(name) => Self::Other(name),
    }
    values {
        Value::RangeInt32(value) => Self::RangeInt32(wit_range(value)),
        Value::RangeInt64(value) => Self::RangeInt64(wit_range(value)),
        Value::RangeDecimal(value) => Self::RangeDecimal(wit_range(value)),
        Value::Interval(Interval { micros, days, months }) => {
            Self::Interval(v4::Interval { micros, days, months })
        }
        Value::Unsupported(raw) => Self::Unsupported(raw),
    }
}

/// A range as the interface has it.
type WitRange<T> = (Option<(T, v4::RangeBoundKind)>, Option<(T, v4::RangeBoundKind)>);

fn range<T>((lower, upper): WitRange<T>) -> Range<T> {
    let bound = |(value, kind): (T, v4::RangeBoundKind)| match kind {
        v4::RangeBoundKind::Inclusive => (value, Bound::Inclusive),
        v4::RangeBoundKind::Exclusive => (value, Bound::Exclusive),
    };
    (lower.map(bound), upper.map(bound))
}

fn wit_range<T>((lower, upper): Range<T>) -> WitRange<T> {
    let bound = |(value, bound): (T, Bound)| match bound {
        Bound::Inclusive => (value, v4::RangeBoundKind::Inclusive),
        Bound::Exclusive => (value, v4::RangeBoundKind::Exclusive),
    };
    (lower.map(bound), upper.map(bound))
}

macro_rules! errors {
    ($error:ty, $other:ident, $query_failed:path) => {
        impl From<Error> for $error {
            fn from(error: Error) -> Self {
                match error {
                    Error::ConnectionFailed(text) => Self::ConnectionFailed(text),
                    Error::BadParameter(text) => Self::BadParameter(text),
                    Error::QueryFailed(error) => Self::QueryFailed($query_failed(error)),
                    Error::ValueConversionFailed(text) => Self::ValueConversionFailed(text),
                    Error::Other(text) => Self::$other(text),
                }
            }
        }
    };
}

errors!(PgError, OtherError, QueryError::into_text);
errors!(v2::Error, Other, QueryError::into_text);
errors!(v3::Error, Other, QueryError::into_text);
errors!(v4::Error, Other, v4::QueryError::from);

impl From<QueryError> for v4::QueryError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Text(text) => Self::Text(text),
            QueryError::Server(report) => {
                let Report {
                    as_text,
                    severity,
                    code,
                    message,
                    detail,
                    extras,
                } = *report;
                Self::DbError(v4::DbError {
                    as_text,
                    severity,
                    code,
                    message,
                    detail,
                    extras,
                })
            }
        }
    }
}

//! `spin:postgres/postgres@4.2.0`, which also serves 4.0 and 4.1: every type, builders of connections. What is `async`
//! there is in `v4_async`.

use wasmtime::component::Resource;

use super::bindings::spin::postgres4_2_0::postgres as wit;
use super::error::{Error, QueryError, Report};
use super::handles::{self, Connection, ConnectionBuilder, Opening};
use super::value::{Bound, Column, DataType, Interval, Parameter, Range, Row, RowSet, Value};
use crate::runtime::HostState;

/// A range as the interface has it.
type WitRange<T> = (Option<(T, wit::RangeBoundKind)>, Option<(T, wit::RangeBoundKind)>);

impl wit::Host for HostState {}

impl wit::HostConnectionBuilder for HostState {
    async fn new(&mut self, address: String) -> wasmtime::Result<Resource<ConnectionBuilder>> {
        handles::new_builder(self, address)
    }

    async fn set_ca_root(
        &mut self,
        builder: Resource<ConnectionBuilder>,
        certificate: String,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        Ok(handles::set_authority(self, &builder, &certificate)?.map_err(error))
    }

    async fn build(
        &mut self,
        builder: Resource<ConnectionBuilder>,
    ) -> wasmtime::Result<Result<Resource<Connection>, wit::Error>> {
        let opening = Opening::of_builder(self, &builder)?;
        Ok(handles::open(self, opening).await?.map_err(error))
    }

    async fn drop(&mut self, builder: Resource<ConnectionBuilder>) -> wasmtime::Result<()> {
        handles::drop_builder(self, builder)
    }
}

impl wit::HostConnection for HostState {
    async fn open(&mut self, address: String) -> wasmtime::Result<Result<Resource<Connection>, wit::Error>> {
        let opening = Opening::of_address(self, address)?;
        Ok(handles::open(self, opening).await?.map_err(error))
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<wit::ParameterValue>,
    ) -> wasmtime::Result<Result<wit::RowSet, wit::Error>> {
        let session = handles::session(self, &connection)?;
        let rows = session.query(&statement, parameters(params)).await;
        Ok(rows.map(row_set).map_err(error))
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<wit::ParameterValue>,
    ) -> wasmtime::Result<Result<u64, wit::Error>> {
        let session = handles::session(self, &connection)?;
        let affected = session.execute(&statement, parameters(params)).await;
        Ok(affected.map_err(error))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        handles::close(self, connection)
    }
}

pub(super) fn parameters(params: Vec<wit::ParameterValue>) -> Vec<Parameter> {
    params.into_iter().map(parameter).collect()
}

fn parameter(value: wit::ParameterValue) -> Parameter {
    use wit::ParameterValue as Wit;
    match value {
        Wit::Boolean(value) => Parameter::Boolean(value),
        Wit::Int8(value) => Parameter::Int8(value),
        Wit::Int16(value) => Parameter::Int16(value),
        Wit::Int32(value) => Parameter::Int32(value),
        Wit::Int64(value) => Parameter::Int64(value),
        Wit::Floating32(value) => Parameter::Floating32(value),
        Wit::Floating64(value) => Parameter::Floating64(value),
        Wit::Str(value) => Parameter::Str(value),
        Wit::Binary(value) => Parameter::Binary(value),
        Wit::Date(value) => Parameter::Date(value),
        Wit::Time(value) => Parameter::Time(value),
        Wit::Datetime(value) => Parameter::Datetime(value),
        Wit::Timestamp(value) => Parameter::Timestamp(value),
        Wit::Uuid(value) => Parameter::Uuid(value),
        Wit::Jsonb(value) => Parameter::Jsonb(value),
        Wit::Decimal(value) => Parameter::Decimal(value),
        Wit::RangeInt32(value) => Parameter::RangeInt32(range(value)),
        Wit::RangeInt64(value) => Parameter::RangeInt64(range(value)),
        Wit::RangeDecimal(value) => Parameter::RangeDecimal(range(value)),
        Wit::ArrayInt32(value) => Parameter::ArrayInt32(value),
        Wit::ArrayInt64(value) => Parameter::ArrayInt64(value),
        Wit::ArrayDecimal(value) => Parameter::ArrayDecimal(value),
        Wit::ArrayStr(value) => Parameter::ArrayStr(value),
        Wit::Interval(value) => Parameter::Interval(Interval {
            micros: value.micros,
            days: value.days,
            months: value.months,
        }),
        Wit::DbNull => Parameter::Null,
    }
}

fn row_set(set: RowSet) -> wit::RowSet {
    wit::RowSet {
        columns: columns(set.columns),
        rows: set.rows.into_iter().map(row).collect(),
    }
}

pub(super) fn columns(columns: Vec<Column>) -> Vec<wit::Column> {
    let column = |column: Column| wit::Column {
        name: column.name,
        data_type: data_type(column.data_type),
    };
    columns.into_iter().map(column).collect()
}

pub(super) fn row(row: Row) -> wit::Row {
    row.into_iter().map(value).collect()
}

fn data_type(data_type: DataType) -> wit::DbDataType {
    match data_type {
        DataType::Boolean => wit::DbDataType::Boolean,
        DataType::Int16 => wit::DbDataType::Int16,
        DataType::Int32 => wit::DbDataType::Int32,
        DataType::Int64 => wit::DbDataType::Int64,
        DataType::Floating32 => wit::DbDataType::Floating32,
        DataType::Floating64 => wit::DbDataType::Floating64,
        DataType::Str => wit::DbDataType::Str,
        DataType::Binary => wit::DbDataType::Binary,
        DataType::Date => wit::DbDataType::Date,
        DataType::Time => wit::DbDataType::Time,
        DataType::Datetime => wit::DbDataType::Datetime,
        DataType::Uuid => wit::DbDataType::Uuid,
        DataType::Jsonb => wit::DbDataType::Jsonb,
        DataType::Decimal => wit::DbDataType::Decimal,
        DataType::RangeInt32 => wit::DbDataType::RangeInt32,
        DataType::RangeInt64 => wit::DbDataType::RangeInt64,
        DataType::RangeDecimal => wit::DbDataType::RangeDecimal,
        DataType::ArrayInt32 => wit::DbDataType::ArrayInt32,
        DataType::ArrayInt64 => wit::DbDataType::ArrayInt64,
        DataType::ArrayDecimal => wit::DbDataType::ArrayDecimal,
        DataType::ArrayStr => wit::DbDataType::ArrayStr,
        DataType::Interval => wit::DbDataType::Interval,
        DataType::Other(name) => wit::DbDataType::Other(name),
    }
}

fn value(value: Value) -> wit::DbValue {
    match value {
        Value::Boolean(value) => wit::DbValue::Boolean(value),
        Value::Int16(value) => wit::DbValue::Int16(value),
        Value::Int32(value) => wit::DbValue::Int32(value),
        Value::Int64(value) => wit::DbValue::Int64(value),
        Value::Floating32(value) => wit::DbValue::Floating32(value),
        Value::Floating64(value) => wit::DbValue::Floating64(value),
        Value::Str(value) => wit::DbValue::Str(value),
        Value::Binary(value) => wit::DbValue::Binary(value),
        Value::Date(value) => wit::DbValue::Date(value),
        Value::Time(value) => wit::DbValue::Time(value),
        Value::Datetime(value) => wit::DbValue::Datetime(value),
        Value::Uuid(value) => wit::DbValue::Uuid(value),
        Value::Jsonb(value) => wit::DbValue::Jsonb(value),
        Value::Decimal(value) => wit::DbValue::Decimal(value),
        Value::RangeInt32(value) => wit::DbValue::RangeInt32(wit_range(value)),
        Value::RangeInt64(value) => wit::DbValue::RangeInt64(wit_range(value)),
        Value::RangeDecimal(value) => wit::DbValue::RangeDecimal(wit_range(value)),
        Value::ArrayInt32(value) => wit::DbValue::ArrayInt32(value),
        Value::ArrayInt64(value) => wit::DbValue::ArrayInt64(value),
        Value::ArrayDecimal(value) => wit::DbValue::ArrayDecimal(value),
        Value::ArrayStr(value) => wit::DbValue::ArrayStr(value),
        Value::Interval(value) => wit::DbValue::Interval(wit::Interval {
            micros: value.micros,
            days: value.days,
            months: value.months,
        }),
        Value::Null => wit::DbValue::DbNull,
        Value::Unsupported(raw) => wit::DbValue::Unsupported(raw),
    }
}

fn range<T>((lower, upper): WitRange<T>) -> Range<T> {
    let bound = |(value, kind): (T, wit::RangeBoundKind)| match kind {
        wit::RangeBoundKind::Inclusive => (value, Bound::Inclusive),
        wit::RangeBoundKind::Exclusive => (value, Bound::Exclusive),
    };
    (lower.map(bound), upper.map(bound))
}

fn wit_range<T>((lower, upper): Range<T>) -> WitRange<T> {
    let bound = |(value, bound): (T, Bound)| match bound {
        Bound::Inclusive => (value, wit::RangeBoundKind::Inclusive),
        Bound::Exclusive => (value, wit::RangeBoundKind::Exclusive),
    };
    (lower.map(bound), upper.map(bound))
}

pub(super) fn error(error: Error) -> wit::Error {
    match error {
        Error::ConnectionFailed(text) => wit::Error::ConnectionFailed(text),
        Error::BadParameter(text) => wit::Error::BadParameter(text),
        Error::QueryFailed(error) => wit::Error::QueryFailed(query_error(error)),
        Error::ValueConversionFailed(text) => wit::Error::ValueConversionFailed(text),
        Error::Other(text) => wit::Error::Other(text),
    }
}

fn query_error(error: QueryError) -> wit::QueryError {
    match error {
        QueryError::Text(text) => wit::QueryError::Text(text),
        QueryError::Server(report) => {
            let Report {
                as_text,
                severity,
                code,
                message,
                detail,
                extras,
            } = *report;
            wit::QueryError::DbError(wit::DbError {
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

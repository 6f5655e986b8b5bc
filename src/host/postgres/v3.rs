//! `spin:postgres/postgres@3.0.0`: types of its own, with dates and times.

use wasmtime::component::Resource;

use super::bindings::spin::postgres3_0_0::postgres as wit;
use super::error::Error;
use super::handles::{self, Connection, Opening};
use super::value::{Column, DataType, Parameter, RowSet, Value};
use crate::runtime::HostState;

impl wit::Host for HostState {}

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

fn parameters(params: Vec<wit::ParameterValue>) -> Vec<Parameter> {
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
        Wit::DbNull => Parameter::Null,
    }
}

fn row_set(set: RowSet) -> wit::RowSet {
    wit::RowSet {
        columns: set.columns.into_iter().map(column).collect(),
        rows: set
            .rows
            .into_iter()
            .map(|row| row.into_iter().map(value).collect())
            .collect(),
    }
}

fn column(column: Column) -> wit::Column {
    wit::Column {
        name: column.name,
        data_type: data_type(&column.data_type),
    }
}

fn data_type(data_type: &DataType) -> wit::DbDataType {
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
        _ => wit::DbDataType::Other,
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
        Value::Null => wit::DbValue::DbNull,
        _ => wit::DbValue::Unsupported,
    }
}

fn error(error: Error) -> wit::Error {
    match error {
        Error::ConnectionFailed(text) => wit::Error::ConnectionFailed(text),
        Error::BadParameter(text) => wit::Error::BadParameter(text),
        Error::QueryFailed(error) => wit::Error::QueryFailed(error.into_text()),
        Error::ValueConversionFailed(text) => wit::Error::ValueConversionFailed(text),
        Error::Other(text) => wit::Error::Other(text),
    }
}

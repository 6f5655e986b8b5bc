//! `fermyon:spin/sqlite`, whose connections are numbers.

use super::bindings::fermyon::spin::sqlite::{Error, Host, QueryResult, Value};
use super::instance;
use crate::runtime::HostState;

impl Host for HostState {
    async fn open(&mut self, database: String) -> wasmtime::Result<Result<u32, Error>> {
        Ok(instance::open_numbered(self, &database)?.map_err(Into::into))
    }

    async fn execute(
        &mut self,
        connection: u32,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<QueryResult, Error>> {
        let connection = match instance::by_number(self, connection) {
            Ok(connection) => connection,
            Err(error) => return Ok(Err(error.into())),
        };
        let parameters = parameters.into_iter().map(Into::into).collect();
        let result = connection.execute(statement, parameters).await;
        Ok(result.map(Into::into).map_err(Into::into))
    }

    async fn close(&mut self, connection: u32) -> wasmtime::Result<()> {
        instance::close_number(self, connection);
        Ok(())
    }
}

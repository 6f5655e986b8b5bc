//! `fermyon:spin/sqlite@2.0.0`.

use wasmtime::component::Resource;

use super::bindings::fermyon::spin2_0_0::sqlite::{Error, Host, HostConnection, QueryResult, Value};
use super::instance::{self, OpenConnection};
use crate::runtime::HostState;

impl Host for HostState {}

impl HostConnection for HostState {
    async fn open(&mut self, database: String) -> wasmtime::Result<Result<Resource<OpenConnection>, Error>> {
        Ok(instance::open_resource(self, &database)?.map_err(Into::into))
    }

    async fn execute(
        &mut self,
        connection: Resource<OpenConnection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<QueryResult, Error>> {
        let connection = instance::by_resource(self, &connection)?;
        let parameters = parameters.into_iter().map(Into::into).collect();
        let result = connection.execute(statement, parameters).await;
        Ok(result.map(Into::into).map_err(Into::into))
    }

    async fn drop(&mut self, connection: Resource<OpenConnection>) -> wasmtime::Result<()> {
        instance::close_resource(self, connection)
    }
}

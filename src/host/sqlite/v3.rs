//! `spin:sqlite@3.1.0`, which is 3.0.0 for guests that ask for that.

use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use super::bindings::spin::sqlite::sqlite::{Host, HostConnection, HostConnectionWithStore};
use super::connection::{Error, QueryResult, RowResult, Value};
use super::instance::{self, OpenConnection};
use super::stream::RowProducer;
use crate::runtime::HostState;

impl Host for HostState {}

impl HostConnection for HostState {
    async fn open(&mut self, database: String) -> wasmtime::Result<Result<Resource<OpenConnection>, Error>> {
        instance::open_resource(self, &database)
    }

    async fn execute(
        &mut self,
        connection: Resource<OpenConnection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<QueryResult, Error>> {
        let connection = instance::by_resource(self, &connection)?;
        Ok(connection.execute(statement, parameters).await)
    }

    async fn last_insert_rowid(&mut self, connection: Resource<OpenConnection>) -> wasmtime::Result<i64> {
        let connection = instance::by_resource(self, &connection)?;
        Ok(connection.last_insert_rowid().await?)
    }

    async fn changes(&mut self, connection: Resource<OpenConnection>) -> wasmtime::Result<u64> {
        let connection = instance::by_resource(self, &connection)?;
        Ok(connection.changes().await?)
    }

    async fn drop(&mut self, connection: Resource<OpenConnection>) -> wasmtime::Result<()> {
        instance::close_resource(self, connection)
    }
}

impl<T: Send> HostConnectionWithStore<T> for HasSelf<HostState> {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        database: String,
    ) -> wasmtime::Result<Result<Resource<OpenConnection>, Error>> {
        accessor.with(|mut access| instance::open_resource(access.get(), &database))
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenConnection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<
        Result<
            (
                Vec<String>,
                StreamReader<RowResult>,
                FutureReader<Result<(), Error>>,
            ),
            Error,
        >,
    > {
        let connection = accessor.with(|mut access| instance::by_resource(access.get(), &connection))?;
        let rows = connection.query(statement, parameters).await;
        let (columns, rows, ended) = RowProducer::new(rows);
        let (rows, ended) = accessor.with(|mut access| {
            wasmtime::error::Ok((
                StreamReader::new(&mut access, rows)?,
                FutureReader::new(&mut access, ended)?,
            ))
        })?;
        Ok(Ok((columns, rows, ended)))
    }

    async fn last_insert_rowid_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenConnection>,
    ) -> wasmtime::Result<i64> {
        let connection = accessor.with(|mut access| instance::by_resource(access.get(), &connection))?;
        Ok(connection.last_insert_rowid().await?)
    }

    async fn changes_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenConnection>,
    ) -> wasmtime::Result<u64> {
        let connection = accessor.with(|mut access| instance::by_resource(access.get(), &connection))?;
        Ok(connection.changes().await?)
    }
}

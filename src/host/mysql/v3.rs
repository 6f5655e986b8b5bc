//! `spin:mysql/mysql@3.0.0`: rows come as a stream, and a guest may do other things while it waits.

use std::sync::Arc;

use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use super::Mysql;
use super::bindings::spin::mysql::mysql as v3;
use super::connection::{Connection, Handles};
use super::error::Error;
use super::rows::{Producer, Streamed};
use super::session::Session;
use super::value::Value;
use crate::runtime::HostState;

type Host = HasSelf<HostState>;

/// Columns; rows; how the rows ended.
type Query = (
    Vec<v3::Column>,
    StreamReader<v3::Row>,
    FutureReader<Result<(), v3::Error>>,
);

fn session<T: Send>(
    accessor: &Accessor<T, Host>,
    connection: &Resource<Connection>,
) -> wasmtime::Result<Arc<Session>> {
    accessor.with(|mut access| Ok(access.get().table().get(connection)?.session()))
}

impl v3::Host for HostState {}

impl v3::HostConnection for HostState {
    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table().delete(connection)?;
        Ok(())
    }
}

impl<T: Send> v3::HostConnectionWithStore<T> for Host {
    async fn open(
        accessor: &Accessor<T, Self>,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, v3::Error>> {
        let (mysql, handles) = accessor.with(|mut access| -> wasmtime::Result<_> {
            let state = access.get();
            Ok((state.interface::<Mysql>()?, state.local::<Handles>().clone()))
        })?;
        match Connection::open(&mysql, &handles, &address).await {
            Ok(connection) => accessor.with(|mut access| Ok(Ok(access.get().table().push(connection)?))),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn query(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<v3::ParameterValue>,
    ) -> wasmtime::Result<Result<Query, v3::Error>> {
        let session = session(accessor, &connection)?;
        let parameters = parameters.into_iter().map(Into::into).collect();
        let Streamed { columns, rows, end } = match session.stream(statement, parameters).await {
            Ok(streamed) => streamed,
            Err(error) => return Ok(Err(error.into())),
        };
        let columns = columns.into_iter().map(Into::into).collect();
        // Without an end, nobody has read the rows to theirs.
        let end = async {
            let end: Result<(), Error> = end.await.unwrap_or(Ok(()));
            Ok::<_, wasmtime::Error>(end.map_err(Into::into))
        };
        accessor.with(|mut access| {
            let rows = StreamReader::new(&mut access, Producer::new(rows, row))?;
            let end = FutureReader::new(&mut access, end)?;
            Ok(Ok((columns, rows, end)))
        })
    }

    async fn execute(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<v3::ParameterValue>,
    ) -> wasmtime::Result<Result<(), v3::Error>> {
        let session = session(accessor, &connection)?;
        let parameters = parameters.into_iter().map(Into::into).collect();
        Ok(session.execute(&statement, parameters).await.map_err(Into::into))
    }
}

fn row(values: Vec<Value>) -> v3::Row {
    values.into_iter().map(Into::into).collect()
}

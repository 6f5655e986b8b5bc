//! `spin:mysql/mysql@3.0.0`: rows come as a stream, and a guest may do other things while it waits.

use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use super::bindings::spin::mysql::mysql as v3;
use super::error::Error;
use super::rows::{Producer, Streamed};
use super::value::Value;
use super::{Connection, Mysql};
use crate::host::connections::{close, open_async, session_async};
use crate::runtime::HostState;

/// Columns; rows; how the rows ended.
type Query = (
    Vec<v3::Column>,
    StreamReader<v3::Row>,
    FutureReader<Result<(), v3::Error>>,
);

impl v3::Host for HostState {}

impl v3::HostConnection for HostState {
    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        close(self, connection)
    }
}

impl<T: Send> v3::HostConnectionWithStore<T> for HasSelf<HostState> {
    async fn open(
        accessor: &Accessor<T, Self>,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, v3::Error>> {
        let opened = open_async::<Mysql>(accessor, address).await?;
        Ok(opened.map_err(Into::into))
    }

    async fn query(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<v3::ParameterValue>,
    ) -> wasmtime::Result<Result<Query, v3::Error>> {
        let session = session_async(accessor, &connection)?;
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
        let session = session_async(accessor, &connection)?;
        let parameters = parameters.into_iter().map(Into::into).collect();
        Ok(session.execute(&statement, parameters).await.map_err(Into::into))
    }
}

fn row(values: Vec<Value>) -> v3::Row {
    values.into_iter().map(Into::into).collect()
}

//! `fermyon:spin/mysql@2.0.0`.

use wasmtime::component::Resource;

use super::bindings::fermyon::spin2_0_0::mysql as v2;
use super::bindings::fermyon::spin2_0_0::rdbms_types as types;
use super::session::RowSet;
use super::{Connection, Mysql};
use crate::host::connections::{close, open, session};
use crate::runtime::HostState;

impl types::Host for HostState {}

impl v2::Host for HostState {}

impl v2::HostConnection for HostState {
    async fn open(
        &mut self,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, types::Error>> {
        Ok(open::<Mysql>(self, address).await?.map_err(Into::into))
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<types::ParameterValue>,
    ) -> wasmtime::Result<Result<types::RowSet, types::Error>> {
        let session = session(self, &connection)?;
        let parameters = parameters.into_iter().map(Into::into).collect();
        let result = session.query(&statement, parameters).await;
        Ok(result.map(Into::into).map_err(Into::into))
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<types::ParameterValue>,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        let session = session(self, &connection)?;
        let parameters = parameters.into_iter().map(Into::into).collect();
        Ok(session.execute(&statement, parameters).await.map_err(Into::into))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        close(self, connection)
    }
}

impl From<RowSet> for types::RowSet {
    fn from((columns, rows): RowSet) -> Self {
        let row = |row: Vec<_>| row.into_iter().map(Into::into).collect();
        Self {
            columns: columns.into_iter().map(Into::into).collect(),
            rows: rows.into_iter().map(row).collect(),
        }
    }
}

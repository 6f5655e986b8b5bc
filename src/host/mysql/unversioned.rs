//! `fermyon:spin/mysql`: an address with every call.

use super::Mysql;
use super::bindings::fermyon::spin::mysql as v1;
use super::bindings::fermyon::spin::rdbms_types as types;
use super::error::Error;
use super::session::{RowSet, Session};
use crate::runtime::HostState;

impl HostState {
    async fn mysql_session(&mut self, address: &str) -> wasmtime::Result<Result<Session, Error>> {
        let mysql = self.interface::<Mysql>()?;
        Ok(mysql.open(address).await)
    }
}

impl types::Host for HostState {}

impl v1::Host for HostState {
    async fn query(
        &mut self,
        address: String,
        statement: String,
        parameters: Vec<types::ParameterValue>,
    ) -> wasmtime::Result<Result<types::RowSet, v1::MysqlError>> {
        let result = match self.mysql_session(&address).await? {
            Ok(session) => {
                session
                    .query(&statement, parameters.into_iter().map(Into::into).collect())
                    .await
            }
            Err(error) => Err(error),
        };
        Ok(result.map(Into::into).map_err(Into::into))
    }

    async fn execute(
        &mut self,
        address: String,
        statement: String,
        parameters: Vec<types::ParameterValue>,
    ) -> wasmtime::Result<Result<(), v1::MysqlError>> {
        let result = match self.mysql_session(&address).await? {
            Ok(session) => {
                session
                    .execute(&statement, parameters.into_iter().map(Into::into).collect())
                    .await
            }
            Err(error) => Err(error),
        };
        Ok(result.map_err(Into::into))
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

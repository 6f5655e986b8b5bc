//! `fermyon:spin/postgres` without a version: an address for each call, and a connection for it.

use super::bindings::fermyon::spin::postgres::{Host, PgError};
use super::bindings::fermyon::spin::rdbms_types as wit;
use super::convert::parameters;
use super::handles::session_for_call;
use crate::runtime::HostState;

impl wit::Host for HostState {}

impl Host for HostState {
    async fn query(
        &mut self,
        address: String,
        statement: String,
        params: Vec<wit::ParameterValue>,
    ) -> wasmtime::Result<Result<wit::RowSet, PgError>> {
        let call = async {
            let session = session_for_call(self, &address).await?;
            let rows = async { session?.query(&statement, parameters(params)?).await };
            wasmtime::error::Ok(rows.await)
        };
        Ok(call.await?.map(Into::into).map_err(Into::into))
    }

    async fn execute(
        &mut self,
        address: String,
        statement: String,
        params: Vec<wit::ParameterValue>,
    ) -> wasmtime::Result<Result<u64, PgError>> {
        let call = async {
            let session = session_for_call(self, &address).await?;
            let affected = async { session?.execute(&statement, parameters(params)?).await };
            wasmtime::error::Ok(affected.await)
        };
        Ok(call.await?.map_err(Into::into))
    }
}

//! `connection` where a call blocks its instance: all of 2.0.0 and 3.0.0, and what is not `async` in 4.2.0.

use wasmtime::component::Resource;

use super::bindings::fermyon::spin2_0_0::{postgres as v2, rdbms_types};
use super::bindings::spin::postgres3_0_0::postgres as v3;
use super::bindings::spin::postgres4_2_0::postgres as v4;
use super::convert::parameters;
use super::handles::{self, Connection, Opening};
use crate::runtime::HostState;

/// The resource of the interface `$version`, whose values and errors are in `$types`.
macro_rules! connection {
    ($version:ident, $types:ident) => {
        impl $version::HostConnection for HostState {
            async fn open(
                &mut self,
                address: String,
            ) -> wasmtime::Result<Result<Resource<Connection>, $types::Error>> {
                let opening = Opening::of_address(self, address)?;
                Ok(handles::open(self, opening).await?.map_err(Into::into))
            }

            async fn query(
                &mut self,
                connection: Resource<Connection>,
                statement: String,
                params: Vec<$types::ParameterValue>,
            ) -> wasmtime::Result<Result<$types::RowSet, $types::Error>> {
                let session = handles::session(self, &connection)?;
                let rows = async { session.query(&statement, parameters(params)?).await };
                Ok(rows.await.map(Into::into).map_err(Into::into))
            }

            async fn execute(
                &mut self,
                connection: Resource<Connection>,
                statement: String,
                params: Vec<$types::ParameterValue>,
            ) -> wasmtime::Result<Result<u64, $types::Error>> {
                let session = handles::session(self, &connection)?;
                let affected = async { session.execute(&statement, parameters(params)?).await };
                Ok(affected.await.map_err(Into::into))
            }

            async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
                handles::close(self, connection)
            }
        }
    };
}

connection!(v2, rdbms_types);
connection!(v3, v3);
connection!(v4, v4);

impl rdbms_types::Host for HostState {}

impl v2::Host for HostState {}

impl v3::Host for HostState {}

impl v4::Host for HostState {}

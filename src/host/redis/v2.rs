//! `fermyon:spin/redis@2.0.0`.

use wasmtime::component::Resource;

use super::bindings::fermyon::spin2_0_0::redis as v2;
use super::commands::commands;
use super::{Connection, Redis};
use crate::host::connections::{close, open, session};
use crate::runtime::HostState;

impl v2::Host for HostState {}

impl v2::HostConnection for HostState {
    async fn open(&mut self, address: String) -> wasmtime::Result<Result<Resource<Connection>, v2::Error>> {
        Ok(open::<Redis>(self, address).await?.map_err(Into::into))
    }

    commands!(v2, self: &mut Self, session);

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        close(self, connection)
    }
}

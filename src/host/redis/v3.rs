//! `spin:redis/redis@3.0.0`: as 2.0.0, and a guest may do other things while it waits.

use wasmtime::component::{Accessor, HasSelf, Resource};

use super::bindings::spin::redis::redis as v3;
use super::commands::commands;
use super::{Connection, Redis};
use crate::host::connections::{close, open_async, session_async};
use crate::runtime::HostState;

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
        let opened = open_async::<Redis>(accessor, address).await?;
        Ok(opened.map_err(Into::into))
    }

    commands!(v3, accessor: &Accessor<T, Self>, session_async);
}

//! `connection-builder` of `spin:postgres/postgres@4.2.0`: a connection whose server an authority of the guest's vouches
//! for.

use wasmtime::component::Resource;

use super::bindings::spin::postgres4_2_0::postgres as v4;
use super::handles::{self, Connection, ConnectionBuilder, Opening};
use crate::runtime::HostState;

impl v4::HostConnectionBuilder for HostState {
    async fn new(&mut self, address: String) -> wasmtime::Result<Resource<ConnectionBuilder>> {
        handles::new_builder(self, address)
    }

    async fn set_ca_root(
        &mut self,
        builder: Resource<ConnectionBuilder>,
        certificate: String,
    ) -> wasmtime::Result<Result<(), v4::Error>> {
        Ok(handles::set_authority(self, &builder, &certificate)?.map_err(Into::into))
    }

    async fn build(
        &mut self,
        builder: Resource<ConnectionBuilder>,
    ) -> wasmtime::Result<Result<Resource<Connection>, v4::Error>> {
        let opening = Opening::of_builder(self, &builder)?;
        Ok(handles::open(self, opening).await?.map_err(Into::into))
    }

    async fn drop(&mut self, builder: Resource<ConnectionBuilder>) -> wasmtime::Result<()> {
        handles::drop_builder(self, builder)
    }
}

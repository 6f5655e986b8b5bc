//! Key-value stores (`docs/contract/host-interfaces.md §5.1, §6.1`): four families of interfaces over three backends.
//!
//! `stores` decides which labels a component may open and what is behind them; `store` is what a backend does;
//! `spin1`, `spin2`, `spin3` and `wasi` are the interfaces.

#[cfg(feature = "aws")]
mod dynamo;
mod prefix;
mod redis;
mod spin1;
mod spin2;
mod spin3;
mod sqlite;
mod store;
mod stores;
#[cfg(test)]
mod tests;
mod wasi;

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTableError};

use crate::runtime::HostState;
use store::{Store, StoreError};
pub(super) use stores::KeyValue;
pub(super) use stores::KeyValueBackends;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "key-value",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/key-value@2.0.0.store": super::OpenStore,
            "spin:key-value/key-value.store": super::OpenStore,
            "wasi:keyvalue/store.bucket": super::OpenStore,
            "wasi:keyvalue/atomics.cas": super::wasi::Cas,
        },
    });
}

/// A store that a guest has open.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct OpenStore(Arc<dyn Store>);

/// Why a guest does not get what it asked for; each version of the interface has its own words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum CallError {
    /// The component does not list the label.
    AccessDenied,
    /// The guest has as many stores open as one may.
    TableFull,
    Store(StoreError),
}

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Defines the versions that have nothing asynchronous.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    type Data = HasSelf<HostState>;
    bindings::fermyon::spin::key_value::add_to_linker::<_, Data>(linker, |state| state)?;
    bindings::fermyon::spin2_0_0::key_value::add_to_linker::<_, Data>(linker, |state| state)?;
    bindings::wasi::keyvalue::store::add_to_linker::<_, Data>(linker, |state| state)?;
    bindings::wasi::keyvalue::batch::add_to_linker::<_, Data>(linker, |state| state)?;
    bindings::wasi::keyvalue::atomics::add_to_linker::<_, Data>(linker, |state| state)
}

/// What needs the component model's concurrency.
pub(super) fn add_concurrent_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::spin::key_value::key_value::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

/// Opens a label for one instance.
fn open(state: &mut HostState, label: &str) -> wasmtime::Result<Result<Resource<OpenStore>, CallError>> {
    let store = match state.interface::<KeyValue>()?.open(label) {
        Ok(store) => store,
        Err(error) => return Ok(Err(error)),
    };
    Ok(match state.table().push(OpenStore(store)) {
        Ok(resource) => Ok(resource),
        Err(ResourceTableError::Full) => Err(CallError::TableFull),
        Err(error) => return Err(error.into()),
    })
}

/// The store behind a handle, to be used without the instance's state.
fn opened(state: &mut HostState, store: &Resource<OpenStore>) -> wasmtime::Result<Arc<dyn Store>> {
    Ok(state.table().get(store)?.0.clone())
}

fn close(state: &mut HostState, store: Resource<OpenStore>) -> wasmtime::Result<()> {
    state.table().delete(store)?;
    Ok(())
}

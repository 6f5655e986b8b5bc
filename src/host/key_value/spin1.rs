//! `fermyon:spin/key-value`, the interface of Spin 1: stores are numbers, which nothing but the guest takes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bindings::fermyon::spin::key_value::{Error, Host};
use super::store::{Store, all_keys};
use super::{CallError, KeyValue};
use crate::runtime::HostState;

/// Stores that one instance may have open: far more than a guest needs, unless it forgets to close them.
const MAX_OPEN: usize = 65_536;

/// The stores of one instance.
#[derive(Default)]
struct Handles {
    open: BTreeMap<u32, Arc<dyn Store>>,
    next: u32,
}

impl Handles {
    fn add(&mut self, store: Arc<dyn Store>) -> Result<u32, CallError> {
        if self.open.len() >= MAX_OPEN {
            return Err(CallError::TableFull);
        }
        // There are more numbers than open stores, so a free one is found also after the last.
        while self.open.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let handle = self.next;
        self.next = self.next.wrapping_add(1);
        self.open.insert(handle, store);
        Ok(handle)
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::AccessDenied => Self::AccessDenied,
            CallError::TableFull => Self::StoreTableFull,
            CallError::Store(error) => Self::Io(error.0),
        }
    }
}

fn opened(state: &mut HostState, handle: u32) -> wasmtime::Result<Arc<dyn Store>> {
    let store = state.local::<Handles>().open.get(&handle).cloned();
    store.ok_or_else(|| wasmtime::format_err!("there is no open key-value store {handle}"))
}

fn answer<T>(result: Result<T, impl Into<CallError>>) -> wasmtime::Result<Result<T, Error>> {
    Ok(result.map_err(|error| error.into().into()))
}

impl Host for HostState {
    async fn open(&mut self, name: String) -> wasmtime::Result<Result<u32, Error>> {
        let store = self.interface::<KeyValue>()?.open(&name);
        answer(store.and_then(|store| self.local::<Handles>().add(store)))
    }

    async fn get(&mut self, store: u32, key: String) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        Ok(match opened(self, store)?.get(&key).await {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(Error::NoSuchKey),
            Err(error) => Err(CallError::from(error).into()),
        })
    }

    async fn set(&mut self, store: u32, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        answer(opened(self, store)?.set(&key, value).await)
    }

    async fn delete(&mut self, store: u32, key: String) -> wasmtime::Result<Result<(), Error>> {
        answer(opened(self, store)?.delete(&key).await)
    }

    async fn exists(&mut self, store: u32, key: String) -> wasmtime::Result<Result<bool, Error>> {
        answer(opened(self, store)?.exists(&key).await)
    }

    async fn get_keys(&mut self, store: u32) -> wasmtime::Result<Result<Vec<String>, Error>> {
        let pages = opened(self, store)?.keys();
        answer(all_keys(pages).await)
    }

    async fn close(&mut self, store: u32) -> wasmtime::Result<()> {
        self.local::<Handles>().open.remove(&store);
        Ok(())
    }
}

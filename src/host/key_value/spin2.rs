//! `fermyon:spin/key-value@2.0.0`.

use wasmtime::component::Resource;

use super::bindings::fermyon::spin2_0_0::key_value::{Error, Host, HostStore};
use super::store::all_keys;
use super::{CallError, OpenStore, close, open, opened};
use crate::runtime::HostState;

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::AccessDenied => Self::AccessDenied,
            CallError::TableFull => Self::StoreTableFull,
            CallError::Store(error) => Self::Other(error.0),
        }
    }
}

fn answer<T>(result: Result<T, impl Into<CallError>>) -> wasmtime::Result<Result<T, Error>> {
    Ok(result.map_err(|error| error.into().into()))
}

impl Host for HostState {}

impl HostStore for HostState {
    async fn open(&mut self, label: String) -> wasmtime::Result<Result<Resource<OpenStore>, Error>> {
        answer(open(self, &label)?)
    }

    async fn get(
        &mut self,
        store: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        answer(opened(self, &store)?.get(&key).await)
    }

    async fn set(
        &mut self,
        store: Resource<OpenStore>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        answer(opened(self, &store)?.set(&key, value).await)
    }

    async fn delete(
        &mut self,
        store: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        answer(opened(self, &store)?.delete(&key).await)
    }

    async fn exists(
        &mut self,
        store: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        answer(opened(self, &store)?.exists(&key).await)
    }

    async fn get_keys(&mut self, store: Resource<OpenStore>) -> wasmtime::Result<Result<Vec<String>, Error>> {
        let pages = opened(self, &store)?.keys();
        answer(all_keys(pages).await)
    }

    async fn drop(&mut self, store: Resource<OpenStore>) -> wasmtime::Result<()> {
        close(self, store)
    }
}

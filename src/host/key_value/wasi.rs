//! `wasi:keyvalue/{store, batch, atomics}@0.2.0-draft2`.

use std::sync::Arc;

use wasmtime::component::{Resource, ResourceTableError};

use super::bindings::wasi::keyvalue::{atomics, batch, store};
use super::store::{Budget, Expected, Store, StoreError, Swap, all_keys};
use super::{CallError, OpenStore, close, open, opened};
use crate::runtime::HostState;
use store::{Error, KeyResponse};

/// What the interface has no cursor for.
const NO_CURSOR: &str = "list_keys: cursor not supported";

/// A key that a guest wants to change only if nobody else did.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Cas {
    store: Arc<dyn Store>,
    key: String,
    /// What was read last; a guest that read nothing takes whatever is there.
    expected: Expected,
}

/// The bytes that all values behind the handles of one instance may have together.
#[derive(Default)]
struct Remembered(Budget);

/// Remembers `after` bytes for a handle instead of `before`; an error changes nothing.
fn remember(state: &mut HostState, before: usize, after: usize) -> Result<(), StoreError> {
    let budget = &mut state.local::<Remembered>().0;
    if after > before {
        return budget.take(after - before);
    }
    budget.give_back(before - after);
    Ok(())
}

fn size(expected: &Expected) -> usize {
    match expected {
        Expected::Value(Some(value)) => value.len(),
        Expected::Value(None) | Expected::Anything => 0,
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::AccessDenied => Self::AccessDenied,
            CallError::TableFull => Self::Other("too many stores are open".into()),
            CallError::Store(error) => Self::Other(error.0),
        }
    }
}

fn answer<T>(result: Result<T, impl Into<CallError>>) -> wasmtime::Result<Result<T, Error>> {
    Ok(result.map_err(|error| error.into().into()))
}

impl store::Host for HostState {
    async fn open(&mut self, identifier: String) -> wasmtime::Result<Result<Resource<OpenStore>, Error>> {
        answer(open(self, &identifier)?)
    }
}

impl store::HostBucket for HostState {
    async fn get(
        &mut self,
        bucket: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        answer(opened(self, &bucket)?.get(&key).await)
    }

    async fn set(
        &mut self,
        bucket: Resource<OpenStore>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        answer(opened(self, &bucket)?.set(&key, value).await)
    }

    async fn delete(
        &mut self,
        bucket: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        answer(opened(self, &bucket)?.delete(&key).await)
    }

    async fn exists(
        &mut self,
        bucket: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        answer(opened(self, &bucket)?.exists(&key).await)
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<OpenStore>,
        cursor: Option<String>,
    ) -> wasmtime::Result<Result<KeyResponse, Error>> {
        let store = opened(self, &bucket)?;
        if cursor.is_some() {
            return Ok(Err(Error::Other(NO_CURSOR.into())));
        }
        let keys = all_keys(store.keys()).await;
        answer(keys.map(|keys| KeyResponse { keys, cursor: None }))
    }

    async fn drop(&mut self, bucket: Resource<OpenStore>) -> wasmtime::Result<()> {
        close(self, bucket)
    }
}

impl batch::Host for HostState {
    async fn get_many(
        &mut self,
        bucket: Resource<OpenStore>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<(String, Option<Vec<u8>>)>, Error>> {
        let store = opened(self, &bucket)?;
        if keys.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        answer(store.get_many(keys).await)
    }

    async fn set_many(
        &mut self,
        bucket: Resource<OpenStore>,
        key_values: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let store = opened(self, &bucket)?;
        if key_values.is_empty() {
            return Ok(Ok(()));
        }
        answer(store.set_many(key_values).await)
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<OpenStore>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let store = opened(self, &bucket)?;
        if keys.is_empty() {
            return Ok(Ok(()));
        }
        answer(store.delete_many(keys).await)
    }
}

impl atomics::Host for HostState {
    async fn increment(
        &mut self,
        bucket: Resource<OpenStore>,
        key: String,
        delta: i64,
    ) -> wasmtime::Result<Result<i64, Error>> {
        answer(opened(self, &bucket)?.increment(&key, delta).await)
    }

    async fn swap(
        &mut self,
        cas: Resource<Cas>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), atomics::CasError>> {
        let Cas { store, key, expected } = self.table().delete(cas)?;
        // The handle is used up, however this ends.
        remember(self, size(&expected), 0)?;
        let changed = match store.swap(&key, expected, value).await {
            Ok(Swap::Done) => return Ok(Ok(())),
            Ok(Swap::Changed(current)) => Ok(Expected::Value(current)),
            Err(error) => Err(error),
        };
        let changed = changed.and_then(|expected| {
            remember(self, 0, size(&expected))?;
            Ok(expected)
        });
        Ok(Err(match changed {
            Ok(expected) => atomics::CasError::CasFailed(self.table().push(Cas { store, key, expected })?),
            Err(error) => atomics::CasError::StoreError(CallError::from(error).into()),
        }))
    }
}

impl atomics::HostCas for HostState {
    async fn new(
        &mut self,
        bucket: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<Resource<Cas>, Error>> {
        let store = opened(self, &bucket)?;
        let expected = Expected::Anything;
        match self.table().push(Cas { store, key, expected }) {
            Ok(cas) => Ok(Ok(cas)),
            Err(ResourceTableError::Full) => answer(Err(CallError::TableFull)),
            Err(error) => Err(error.into()),
        }
    }

    async fn current(&mut self, cas: Resource<Cas>) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let Cas { store, key, .. } = self.table().get(&cas)?;
        let (store, key) = (store.clone(), key.clone());
        let current = match store.get(&key).await {
            Ok(current) => current,
            Err(error) => return answer(Err(error)),
        };
        let expected = Expected::Value(current.clone());
        let before = size(&self.table().get(&cas)?.expected);
        if let Err(error) = remember(self, before, size(&expected)) {
            return answer(Err(error));
        }
        self.table().get_mut(&cas)?.expected = expected;
        Ok(Ok(current))
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        let cas = self.table().delete(cas)?;
        Ok(remember(self, size(&cas.expected), 0)?)
    }
}

//! `spin:key-value@3.0.0`: the functions run beside each other, and the keys come in a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, Destination, FutureReader, HasSelf, Resource, StreamProducer, StreamReader, StreamResult,
    VecBuffer,
};

use super::bindings::spin::key_value::key_value::{Error, Host, HostStore, HostStoreWithStore};
use super::store::{KeyPages, Store, StoreError};
use super::{CallError, OpenStore, close, open, opened};
use crate::host::limits::MAX_BUFFERED;
use crate::runtime::HostState;

type Data = HasSelf<HostState>;
type Keys = (StreamReader<String>, FutureReader<Result<(), Error>>);

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

/// Calls of one instance that work at a time; the others wait. Each may hold a result of the largest size.
const CALLS: usize = 16;
/// What a guest is told that has more bytes on their way than one result may have.
const TOO_MUCH: &str = "too many bytes are being set at the same time: wait for earlier calls";

/// What one instance has under way: without a limit, a guest could start any number of calls with one large value
/// in its memory, and the host would hold a copy for each.
struct UnderWay {
    calls: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

impl Default for UnderWay {
    fn default() -> Self {
        Self {
            calls: Arc::new(Semaphore::new(CALLS)),
            bytes: Arc::new(Semaphore::new(MAX_BUFFERED)),
        }
    }
}

/// The store behind a handle, when it is this call's turn, which ends with the permit.
async fn store_of<T>(
    accessor: &Accessor<T, Data>,
    store: &Resource<OpenStore>,
) -> wasmtime::Result<(Arc<dyn Store>, OwnedSemaphorePermit)> {
    let (store, calls) = accessor.with(|mut access| {
        let state = access.get();
        let store = opened(state, store)?;
        Ok::<_, wasmtime::Error>((store, state.local::<UnderWay>().calls.clone()))
    })?;
    Ok((store, calls.acquire_owned().await?))
}

/// Leave to hold a value until it is set. A value that is too large for any such leave may come alone.
fn bytes_of<T>(accessor: &Accessor<T, Data>, value: &[u8]) -> Result<OwnedSemaphorePermit, StoreError> {
    let bytes = accessor.with(|mut access| access.get().local::<UnderWay>().bytes.clone());
    // The largest number of permits is far below what 32 bits hold.
    let length = value.len().min(MAX_BUFFERED) as u32;
    bytes
        .try_acquire_many_owned(length)
        .map_err(|_| StoreError::new(TOO_MUCH))
}

impl Host for HostState {}

impl HostStore for HostState {
    async fn drop(&mut self, store: Resource<OpenStore>) -> wasmtime::Result<()> {
        close(self, store)
    }
}

impl<T: Send> HostStoreWithStore<T> for Data {
    async fn open(
        accessor: &Accessor<T, Self>,
        label: String,
    ) -> wasmtime::Result<Result<Resource<OpenStore>, Error>> {
        answer(accessor.with(|mut access| open(access.get(), &label))?)
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let (store, _turn) = store_of(accessor, &store).await?;
        answer(store.get(&key).await)
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let _bytes = match bytes_of(accessor, &value) {
            Ok(leave) => leave,
            Err(error) => return answer(Err(error)),
        };
        let (store, _turn) = store_of(accessor, &store).await?;
        answer(store.set(&key, value).await)
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        let (store, _turn) = store_of(accessor, &store).await?;
        answer(store.delete(&key).await)
    }

    async fn exists(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let (store, _turn) = store_of(accessor, &store).await?;
        answer(store.exists(&key).await)
    }

    async fn get_keys(accessor: &Accessor<T, Self>, store: Resource<OpenStore>) -> wasmtime::Result<Keys> {
        let pages = accessor.with(|mut access| opened(access.get(), &store))?.keys();
        let (end, ended) = oneshot::channel();
        let end = Some(end);
        let outcome = async move {
            // A guest that drops the stream has all the keys it wanted.
            Ok::<_, wasmtime::Error>(ended.await.unwrap_or(Ok(())))
        };
        accessor.with(|mut access| {
            let keys = StreamReader::new(&mut access, KeyStream { pages, end })?;
            Ok((keys, FutureReader::new(&mut access, outcome)?))
        })
    }
}

/// Keys on their way to a guest, a page at a time; the future beside the stream learns how it ended.
struct KeyStream {
    pages: KeyPages,
    end: Option<oneshot::Sender<Result<(), Error>>>,
}

impl KeyStream {
    fn end(&mut self, result: Result<(), Error>) -> StreamResult {
        if let Some(end) = self.end.take() {
            // A guest may have dropped the future.
            let _ = end.send(result);
        }
        StreamResult::Dropped
    }
}

impl<D: 'static> StreamProducer<D> for KeyStream {
    type Item = String;
    type Buffer = VecBuffer<String>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            // A guest that only asks whether something is ready would lose what is buffered for it.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let page = loop {
            match self.pages.poll_next_unpin(cx) {
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Ready(Some(Ok(page))) if page.is_empty() => {}
                next => break ready!(next),
            }
        };
        Poll::Ready(Ok(match page {
            Some(Ok(page)) => {
                destination.set_buffer(page.into());
                StreamResult::Completed
            }
            Some(Err(error)) => self.end(Err(CallError::from(error).into())),
            None => self.end(Ok(())),
        }))
    }
}

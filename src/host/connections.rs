//! The resource `connection` of the interfaces whose guests name a server: what a handle stands for, and how it is opened
//! by functions of both sorts, those that block their instance and those that are `async`.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Accessor, HasSelf, Resource};

use crate::runtime::HostState;

/// Handles of one interface that an instance may have open.
const MAX_HANDLES: usize = 1024;

/// An interface whose guests open connections.
pub(super) trait Connect: Send + Sync + 'static {
    /// Where to, and as whom.
    type Address: Send;
    /// What a handle stands for.
    type Session: Send + Sync + 'static;
    type Error: Send;

    /// What a guest is told that has too many handles.
    fn too_many() -> Self::Error;

    fn connect(
        &self,
        address: Self::Address,
    ) -> impl Future<Output = Result<Self::Session, Self::Error>> + Send;
}

/// A connection that a guest has opened.
pub(super) struct Connection<S> {
    session: Arc<S>,
    _place: OwnedSemaphorePermit,
}

/// What is kept for one instance: a place for each handle of the interface `I`.
struct Places<I> {
    free: Arc<Semaphore>,
    interface: PhantomData<fn() -> I>,
}

impl<I> Default for Places<I> {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(MAX_HANDLES)),
            interface: PhantomData,
        }
    }
}

/// A connection to be: what it needs of the instance, taken before the server is waited for.
struct Opening<I> {
    interface: Arc<I>,
    places: Arc<Semaphore>,
}

impl<I: Connect> Opening<I> {
    fn new(state: &mut HostState) -> wasmtime::Result<Self> {
        Ok(Self {
            interface: state.interface()?,
            places: state.local::<Places<I>>().free.clone(),
        })
    }

    async fn open(self, address: I::Address) -> Result<Connection<I::Session>, I::Error> {
        let place = self.places.try_acquire_owned().map_err(|_| I::too_many())?;
        Ok(Connection {
            session: Arc::new(self.interface.connect(address).await?),
            _place: place,
        })
    }
}

pub(super) async fn open<I: Connect>(
    state: &mut HostState,
    address: I::Address,
) -> wasmtime::Result<Result<Resource<Connection<I::Session>>, I::Error>> {
    Ok(match Opening::<I>::new(state)?.open(address).await {
        Ok(connection) => Ok(state.table().push(connection)?),
        Err(error) => Err(error),
    })
}

/// The same, with nothing of the instance held while the server is waited for.
pub(super) async fn open_async<I: Connect>(
    accessor: &Accessor<impl Send, HasSelf<HostState>>,
    address: I::Address,
) -> wasmtime::Result<Result<Resource<Connection<I::Session>>, I::Error>> {
    let opening = accessor.with(|mut access| Opening::<I>::new(access.get()))?;
    match opening.open(address).await {
        Ok(connection) => accessor.with(|mut access| Ok(Ok(access.get().table().push(connection)?))),
        Err(error) => Ok(Err(error)),
    }
}

/// An error, which traps, for a handle that is not one.
pub(super) fn session<S: Send + Sync + 'static>(
    state: &mut HostState,
    connection: &Resource<Connection<S>>,
) -> wasmtime::Result<Arc<S>> {
    Ok(state.table().get(connection)?.session.clone())
}

/// The same.
pub(super) fn session_async<S: Send + Sync + 'static>(
    accessor: &Accessor<impl Send, HasSelf<HostState>>,
    connection: &Resource<Connection<S>>,
) -> wasmtime::Result<Arc<S>> {
    accessor.with(|mut access| session(access.get(), connection))
}

pub(super) fn close<S: Send + Sync + 'static>(
    state: &mut HostState,
    connection: Resource<Connection<S>>,
) -> wasmtime::Result<()> {
    state.table().delete(connection)?;
    Ok(())
}

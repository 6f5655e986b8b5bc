//! What a guest holds: connections, and builders of connections.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Resource;

use super::Postgres;
use super::error::Error;
use super::session::Session;
use super::tls::Authority;
use crate::runtime::HostState;

/// Of each kind, for one instance.
const MAX_HANDLES: usize = 1024;
const TOO_MANY: &str = "too many connections";

#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Connection {
    session: Arc<Session>,
    _place: OwnedSemaphorePermit,
}

#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct ConnectionBuilder {
    address: String,
    authority: Option<Authority>,
    _place: OwnedSemaphorePermit,
}

/// What one instance may still have.
struct Places {
    connections: Arc<Semaphore>,
    builders: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(MAX_HANDLES));
        Self {
            connections: places(),
            builders: places(),
        }
    }
}

/// A connection to be: what `open` needs of the instance, taken before it waits for the server.
pub(super) struct Opening {
    postgres: Arc<Postgres>,
    address: String,
    authority: Option<Authority>,
    place: Option<OwnedSemaphorePermit>,
}

impl Opening {
    pub(super) fn of_address(state: &mut HostState, address: String) -> wasmtime::Result<Self> {
        let place = state
            .local::<Places>()
            .connections
            .clone()
            .try_acquire_owned()
            .ok();
        Ok(Self {
            postgres: state.interface()?,
            address,
            authority: None,
            place,
        })
    }

    pub(super) fn of_builder(
        state: &mut HostState,
        builder: &Resource<ConnectionBuilder>,
    ) -> wasmtime::Result<Self> {
        let builder = state.table().get(builder)?;
        let (address, authority) = (builder.address.clone(), builder.authority.clone());
        Ok(Self {
            authority,
            ..Self::of_address(state, address)?
        })
    }

    /// Checks the permission, and connects.
    pub(super) async fn open(self) -> Result<Connection, Error> {
        // What is not permitted is told first.
        let session = self.postgres.open(&self.address, self.authority.as_ref()).await?;
        let place = self
            .place
            .ok_or_else(|| Error::ConnectionFailed(TOO_MANY.into()))?;
        Ok(Connection {
            session: Arc::new(session),
            _place: place,
        })
    }
}

/// For a single call, after which the connection is closed.
pub(super) async fn session_for_call(
    state: &mut HostState,
    address: &str,
) -> wasmtime::Result<Result<Arc<Session>, Error>> {
    let postgres = state.interface::<Postgres>()?;
    Ok(postgres.open(address, None).await.map(Arc::new))
}

pub(super) async fn open(
    state: &mut HostState,
    opening: Opening,
) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
    match opening.open().await {
        Ok(connection) => Ok(Ok(state.table().push(connection)?)),
        Err(error) => Ok(Err(error)),
    }
}

pub(super) fn session(
    state: &mut HostState,
    connection: &Resource<Connection>,
) -> wasmtime::Result<Arc<Session>> {
    Ok(state.table().get(connection)?.session.clone())
}

pub(super) fn close(state: &mut HostState, connection: Resource<Connection>) -> wasmtime::Result<()> {
    state.table().delete(connection)?;
    Ok(())
}

pub(super) fn new_builder(
    state: &mut HostState,
    address: String,
) -> wasmtime::Result<Resource<ConnectionBuilder>> {
    let place = state.local::<Places>().builders.clone().try_acquire_owned();
    let place = place.map_err(|_| wasmtime::format_err!("out of builder table space"))?;
    Ok(state.table().push(ConnectionBuilder {
        address,
        authority: None,
        _place: place,
    })?)
}

pub(super) fn set_authority(
    state: &mut HostState,
    builder: &Resource<ConnectionBuilder>,
    pem: &str,
) -> wasmtime::Result<Result<(), Error>> {
    let builder = state.table().get_mut(builder)?;
    Ok(Authority::parse(pem).map(|authority| builder.authority = Some(authority)))
}

pub(super) fn drop_builder(
    state: &mut HostState,
    builder: Resource<ConnectionBuilder>,
) -> wasmtime::Result<()> {
    state.table().delete(builder)?;
    Ok(())
}

//! Redis for guests: `fermyon:spin/redis`, `fermyon:spin/redis@2.0.0`, `spin:redis/redis@3.0.0`
//! (`docs/contract/host-interfaces.md §5.6`).
//!
//! A handle has a connection of its own for as long as it is open, because `execute` may leave state in a connection
//! (a selected database, a transaction, a subscription) or block it. A connection that no such command was sent over
//! goes back to its app's pool and serves the next handle for the same address.

mod address;
mod commands;
mod convert;
mod live;
mod pool;
mod reply;
mod session;
mod state;
mod unversioned;
mod v2;
mod v3;
mod watched;

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};

use super::connections::{self, Connect};
use super::context::ComponentContext;
use super::error::InterfaceError;
use super::permission::OutboundPermission;
use crate::runtime::HostState;
use address::Target;
use live::Live;
use pool::Pool;
use reply::Error;
use session::Session;

pub(super) use pool::RedisBackends;

/// The scheme of an address that has none.
const DEFAULT_SCHEME: &str = "redis";

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "redis",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/redis@2.0.0.connection": super::Connection,
            "spin:redis/redis@3.0.0.connection": super::Connection,
        },
    });
}

/// `connection`.
#[expect(unreachable_pub, reason = "the generated bindings export it")]
pub type Connection = connections::Connection<Session>;

/// What all instances of one component share.
pub(super) struct Redis {
    permission: Arc<OutboundPermission>,
    pool: Arc<Pool>,
}

impl Redis {
    /// Nothing is connected yet, so nothing can fail.
    pub(super) async fn of(
        context: &ComponentContext<'_>,
        backends: &RedisBackends,
    ) -> Result<Self, InterfaceError> {
        Ok(Self {
            permission: context.permission.clone(),
            pool: backends.pool(context.outbound),
        })
    }

    /// Connects, or takes an idle connection.
    async fn open(&self, address: &str) -> Result<Session, Error> {
        if !self.permission.allows(address, DEFAULT_SCHEME).await {
            return Err(Error::InvalidAddress);
        }
        let target = Arc::new(Target::parse(address)?);
        let live = Live::lease(&self.pool, &target).await?;
        Ok(Session::new(self.pool.clone(), target, live))
    }
}

impl Connect for Redis {
    type Address = String;
    type Session = Session;
    type Error = Error;

    fn too_many() -> Error {
        Error::TooManyConnections
    }

    async fn connect(&self, address: String) -> Result<Session, Error> {
        self.open(&address).await
    }
}

/// Defines the versions that have nothing asynchronous.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::fermyon::spin::redis::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    bindings::fermyon::spin2_0_0::redis::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

/// What needs the component model's concurrency.
pub(super) fn add_concurrent_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::spin::redis::redis::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

//! MySQL and MariaDB for guests: `fermyon:spin/mysql`, `fermyon:spin/mysql@2.0.0`, `spin:mysql/mysql@3.0.0`
//! (`docs/contract/host-interfaces.md §5.8`).
//!
//! A handle has a connection of its own for as long as it is open. When it is closed, the connection is made as new (user,
//! database, transaction, variables) and goes back to its app's pool.

mod address;
mod convert;
mod error;
mod live;
mod pool;
mod rows;
mod session;
mod state;
mod unversioned;
mod v2;
mod v3;
mod value;

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};

use super::connections::{self, Connect};
use super::context::ComponentContext;
use super::error::InterfaceError;
use super::permission::OutboundPermission;
use crate::runtime::HostState;
use address::Target;
use error::Error;
use live::Live;
use pool::Pool;
use session::Session;

pub(super) use pool::MysqlBackends;

/// The scheme of an address that has none.
const DEFAULT_SCHEME: &str = "mysql";

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "mysql",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/mysql@2.0.0.connection": super::Connection,
            "spin:mysql/mysql@3.0.0.connection": super::Connection,
        },
    });
}

/// `connection`.
#[expect(unreachable_pub, reason = "the generated bindings export it")]
pub type Connection = connections::Connection<Session>;

/// What all instances of one component share.
pub(super) struct Mysql {
    permission: Arc<OutboundPermission>,
    pool: Arc<Pool>,
}

impl Mysql {
    /// Nothing is connected yet, so nothing can fail.
    pub(super) async fn of(
        context: &ComponentContext<'_>,
        backends: &MysqlBackends,
    ) -> Result<Self, InterfaceError> {
        Ok(Self {
            permission: context.permission.clone(),
            pool: backends.pool(context.outbound),
        })
    }

    /// Connects, or takes an idle connection.
    async fn open(&self, address: &str) -> Result<Session, Error> {
        if !self.permission.allows(address, DEFAULT_SCHEME).await {
            return Err(Error::ConnectionFailed(format!(
                "address {address} is not permitted"
            )));
        }
        let target = Arc::new(Target::parse(address)?);
        let live = Live::lease(&self.pool, &target).await?;
        Ok(Session::new(self.pool.clone(), target, live))
    }
}

impl Connect for Mysql {
    type Address = String;
    type Session = Session;
    type Error = Error;

    fn too_many() -> Error {
        Error::ConnectionFailed("too many connections".into())
    }

    async fn connect(&self, address: String) -> Result<Session, Error> {
        self.open(&address).await
    }
}

/// Defines the versions that have nothing asynchronous.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::fermyon::spin::mysql::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    bindings::fermyon::spin2_0_0::mysql::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

/// What needs the component model's concurrency.
pub(super) fn add_concurrent_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::spin::mysql::mysql::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

//! PostgreSQL: every version of the interface over one implementation
//! (`docs/contract/host-interfaces.md §5.7`).
//!
//! A handle of the guest is a session of the server, from `open` to `close`: transactions, settings and temporary tables
//! are its own. Between guests a session is cleaned and kept for the next one of the same component, address and authority.

mod address;
mod builder;
mod connection;
mod convert;
mod decode;
mod encode;
mod error;
mod handles;
mod json;
mod link;
mod moment;
mod numeric;
mod pool;
mod session;
mod tls;
mod unversioned;
mod v4_async;
mod value;

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};

use self::address::Address;
use self::error::Error;
use self::pool::Pools;
use self::session::Session;
use self::tls::Authority;
use super::context::ComponentContext;
use super::permission::OutboundPermission;
use crate::runtime::HostState;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "postgres",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/postgres@2.0.0.connection": super::handles::Connection,
            "spin:postgres/postgres@3.0.0.connection": super::handles::Connection,
            "spin:postgres/postgres@4.2.0.connection": super::handles::Connection,
            "spin:postgres/postgres@4.2.0.connection-builder": super::handles::ConnectionBuilder,
        },
    });
}

/// The scheme of `allowed_outbound_hosts` for these addresses.
const SCHEME: &str = "postgres";

/// What all instances of one component share.
pub(super) struct Postgres {
    permission: Arc<OutboundPermission>,
    pools: Pools,
}

impl Postgres {
    /// Nothing is connected to before a guest asks for it.
    pub(super) fn of(context: &ComponentContext<'_>) -> Self {
        Self {
            permission: context.permission.clone(),
            pools: Pools::new(context.outbound.clone()),
        }
    }

    /// A session with the server at `address`, if every host of it is allowed.
    async fn open(&self, address: &str, authority: Option<&Authority>) -> Result<Session, Error> {
        let parsed = Address::parse(address)?;
        for target in parsed.targets() {
            // With its scheme, `host:port` can't be taken for a URL whose scheme is the host.
            let url = format!("{SCHEME}://{target}");
            if !(address::is_plain(&target) && self.permission.allows(&url, SCHEME).await) {
                return Err(Error::ConnectionFailed(format!("address {url} is not permitted")));
            }
        }
        self.pools.pool(address, parsed, authority).take().await
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    use bindings::fermyon::spin as unversioned;
    use bindings::fermyon::spin2_0_0 as v2;
    use bindings::spin::postgres3_0_0 as v3;

    unversioned::postgres::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    v2::postgres::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    v3::postgres::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

/// What needs the component model's concurrency.
pub(super) fn add_concurrent_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::spin::postgres4_2_0::postgres::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

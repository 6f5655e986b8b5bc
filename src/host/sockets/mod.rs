//! `wasi:sockets`, where the host has more to say than its implementation asks: limits on their number, binding, and names
//! (`docs/contract/host-interfaces.md §7.1`).
//!
//! The functions here take the place of those of `wasmtime-wasi` and call them, for 0.2, the candidates of 2023 and 0.3.

mod lookup;
mod p2;
mod p3;
mod rules;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime_wasi::TrappableError;

use self::rules::{Rules, is_any};
use super::context::ComponentContext;
use crate::net::Permit;
use crate::runtime::{HostState, Interfaces};

/// What the sockets of one component's instances are decided by.
struct Sockets(Arc<Rules>);

/// Gives the component its rules.
pub(super) fn prepare(interfaces: &mut Interfaces, context: &ComponentContext<'_>) {
    let rules = Arc::new(Rules::of(context));
    interfaces.set_socket_rules(rules.clone());
    interfaces.insert(Sockets(rules));
}

/// After `wasi:sockets` of versions before 0.3.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    in_place(linker, p2::link)
}

/// After `wasi:sockets` of 0.3.
pub(super) fn add_concurrent_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    in_place(linker, p3::link)
}

/// In the place of functions that are there.
fn in_place(
    linker: &mut Linker<HostState>,
    link: fn(&mut Linker<HostState>) -> wasmtime::Result<()>,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let linked = link(linker);
    linker.allow_shadowing(false);
    linked
}

/// The places that an instance's sockets have, by the numbers of their handles in the host.
#[derive(Default)]
struct OpenSockets(HashMap<u32, Permit>);

fn rules(state: &HostState) -> wasmtime::Result<Arc<Rules>> {
    Ok(state.interface::<Sockets>()?.0.clone())
}

fn keep(state: &mut HostState, socket: u32, permit: Permit) {
    state.local::<OpenSockets>().0.insert(socket, permit);
}

/// A socket that has none has nothing to release.
fn release(state: &mut HostState, socket: u32) {
    state.local::<OpenSockets>().0.remove(&socket);
}

/// Whether binding TCP is refused here: the implementation asks about the same address when it connects.
fn refuses_tcp_bind(address: SocketAddr) -> bool {
    is_any(address)
}

/// The same for UDP.
async fn refuses_udp_bind(rules: &Rules, address: SocketAddr) -> bool {
    is_any(address) && !rules.permits_udp_bind(address).await
}

/// A result as the guest sees it; what is not meant for guests traps.
fn shown<T, C>(result: Result<T, TrappableError<C>>) -> wasmtime::Result<(Result<T, C>,)>
where
    C: std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

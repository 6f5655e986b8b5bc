//! `wasi:sockets`, but for the sockets themselves: the network, and the names in it.

use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::sockets::instance_network::Host as _;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{Host as _, HostResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, HostNetwork, IpAddressFamily, Network};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};

use super::Candidate;
use super::interface::Interface;

pub(super) type Sockets<'linker, T> = Interface<'linker, T, WasiSockets>;

pub(super) fn link<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    candidate: Candidate,
) -> wasmtime::Result<()> {
    let mut network = Sockets::new(linker, candidate, "wasi:sockets/network", T::sockets)?;
    network.resource("network", |sockets, this| HostNetwork::drop(sockets, this))?;

    let mut instance = Sockets::new(linker, candidate, "wasi:sockets/instance-network", T::sockets)?;
    instance.value("instance-network", |sockets, ()| sockets.instance_network())?;

    let mut lookup = Sockets::new(linker, candidate, "wasi:sockets/ip-name-lookup", T::sockets)?;
    lookup.resource("resolve-address-stream", |sockets, this| {
        HostResolveAddressStream::drop(sockets, this)
    })?;
    lookup.attempt(
        "[method]resolve-address-stream.resolve-next-address",
        |sockets, (this,)| sockets.resolve_next_address(this),
    )?;
    lookup.value("[method]resolve-address-stream.subscribe", |sockets, (this,)| {
        sockets.subscribe(this)
    })?;
    match candidate {
        // The wish for one family of addresses, and for those that are out of reach, has gone; guests must look at what
        // they are given anyway.
        Candidate::October => {
            type Params = (Resource<Network>, String, Option<IpAddressFamily>, bool);
            lookup.attempt("resolve-addresses", |sockets, (network, name, _, _): Params| {
                sockets.resolve_addresses(network, name)
            })
        }
        Candidate::November => lookup.attempt("resolve-addresses", |sockets, (network, name)| {
            sockets.resolve_addresses(network, name)
        }),
    }
}

/// Whether a socket speaks IPv6 only, an option that 0.2 dropped: its sockets of that family always do.
pub(super) fn ipv6_only(family: IpAddressFamily) -> Result<bool, ErrorCode> {
    match family {
        IpAddressFamily::Ipv4 => Err(ErrorCode::NotSupported),
        IpAddressFamily::Ipv6 => Ok(true),
    }
}

/// Asks for what [`ipv6_only`] tells; anything else isn't to be had.
pub(super) fn set_ipv6_only(family: IpAddressFamily, value: bool) -> Result<(), ErrorCode> {
    match (family, value) {
        (IpAddressFamily::Ipv6, true) => Ok(()),
        _ => Err(ErrorCode::NotSupported),
    }
}

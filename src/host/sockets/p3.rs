//! The functions of 0.3, which has no code for too many sockets: what is not named is `other`.

use std::net::SocketAddr;

use wasmtime::component::{Accessor, Linker, Resource, ResourceType};
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup;
use wasmtime_wasi::p3::bindings::sockets::types::{
    ErrorCode, HostTcpSocket, HostTcpSocketWithStore, HostUdpSocket, IpAddress, IpAddressFamily,
    IpSocketAddress,
};
use wasmtime_wasi::sockets::{TcpSocket, UdpSocket, WasiSockets, WasiSocketsView};

use super::rules::LookupError;
use super::{keep, refuses_tcp_bind, refuses_udp_bind, release, rules, shown};
use crate::runtime::HostState;

/// What `wasmtime-wasi` links, and what serves all of 0.3.
const TYPES: &str = "wasi:sockets/types@0.3.0";
const LOOKUP: &str = "wasi:sockets/ip-name-lookup@0.3.0";
/// What the guest is told about one socket too many, by the name it has in 0.2.
const LIMIT: &str = "new-socket-limit";

fn limit() -> ErrorCode {
    ErrorCode::Other(Some(LIMIT.into()))
}

pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    tcp(linker)?;
    udp(linker)?;
    let mut lookup = linker.instance(LOOKUP)?;
    lookup.func_wrap_concurrent("resolve-addresses", |accessor, (name,): (String,)| {
        Box::pin(look_up(accessor, name))
    })
}

fn tcp(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.resource(
        "tcp-socket",
        ResourceType::host::<TcpSocket>(),
        |mut store, rep| {
            let state = store.data_mut();
            release(state, rep);
            HostTcpSocket::drop(&mut state.sockets(), Resource::new_own(rep))
        },
    )?;
    types.func_wrap_async(
        "[method]tcp-socket.bind",
        |mut store, (this, address): (Resource<TcpSocket>, IpSocketAddress)| {
            Box::new(async move {
                if refuses_tcp_bind(SocketAddr::from(address)) {
                    return Ok((Err(ErrorCode::AccessDenied),));
                }
                let mut sockets = store.data_mut().sockets();
                shown(HostTcpSocket::bind(&mut sockets, this, address).await)
            })
        },
    )?;
    types.func_wrap_concurrent(
        "[method]tcp-socket.connect",
        |accessor, (this, address): (Resource<TcpSocket>, IpSocketAddress)| {
            Box::pin(connect(accessor, this, address))
        },
    )
}

async fn connect(
    accessor: &Accessor<HostState>,
    this: Resource<TcpSocket>,
    address: IpSocketAddress,
) -> wasmtime::Result<(Result<(), ErrorCode>,)> {
    let socket = this.rep();
    let permitted = accessor.with(|mut access| {
        let state = access.get();
        let permit = rules(state)?.try_permit();
        let permitted = permit.is_some();
        if let Some(permit) = permit {
            keep(state, socket, permit);
        }
        wasmtime::error::Ok(permitted)
    })?;
    if !permitted {
        return Ok((Err(limit()),));
    }
    let sockets = accessor.with_getter::<WasiSockets>(|state| state.sockets());
    let connected = WasiSockets::connect(&sockets, this, address).await;
    if connected.is_err() {
        accessor.with(|mut access| release(access.get(), socket));
    }
    shown(connected)
}

fn udp(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.resource(
        "udp-socket",
        ResourceType::host::<UdpSocket>(),
        |mut store, rep| {
            let state = store.data_mut();
            release(state, rep);
            HostUdpSocket::drop(&mut state.sockets(), Resource::new_own(rep))
        },
    )?;
    types.func_wrap_async(
        "[static]udp-socket.create",
        |mut store, (family,): (IpAddressFamily,)| {
            Box::new(async move {
                let state = store.data_mut();
                let Some(permit) = rules(state)?.try_permit() else {
                    return Ok((Err(limit()),));
                };
                let created = HostUdpSocket::create(&mut state.sockets(), family).await;
                if let Ok(socket) = &created {
                    keep(state, socket.rep(), permit);
                }
                shown(created)
            })
        },
    )?;
    types.func_wrap_async(
        "[method]udp-socket.bind",
        |mut store, (this, address): (Resource<UdpSocket>, IpSocketAddress)| {
            Box::new(async move {
                let state = store.data_mut();
                let rules = rules(state)?;
                if refuses_udp_bind(&rules, SocketAddr::from(address)).await {
                    return Ok((Err(ErrorCode::AccessDenied),));
                }
                shown(HostUdpSocket::bind(&mut state.sockets(), this, address).await)
            })
        },
    )
}

type Found = (Result<Vec<IpAddress>, ip_name_lookup::ErrorCode>,);

async fn look_up(accessor: &Accessor<HostState>, name: String) -> wasmtime::Result<Found> {
    use ip_name_lookup::ErrorCode as Code;
    let rules = accessor.with(|mut access| rules(access.get()))?;
    let found = rules.look_up(&name).await;
    let found = found.map(|addresses| addresses.into_iter().map(IpAddress::from).collect());
    Ok((found.map_err(|error| match error {
        // What an implementation without name lookup says.
        LookupError::NotAllowed => Code::PermanentResolverFailure,
        LookupError::Blocked => Code::AccessDenied,
        LookupError::Unresolvable => Code::NameUnresolvable,
    }),))
}

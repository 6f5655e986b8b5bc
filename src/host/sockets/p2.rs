//! The functions of 0.2 and of the candidates of 2023, which have the same types.

use std::net::SocketAddr;

use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp::HostUdpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket::Host as _;
use wasmtime_wasi::p2::{TcpSocket, UdpSocket};
use wasmtime_wasi::sockets::WasiSocketsView;

use super::{keep, lookup, refuses_tcp_bind, refuses_udp_bind, release, rules, shown};
use crate::host::wasi_rc::{Candidate, udp_october};
use crate::runtime::HostState;

/// The version that `wasmtime-wasi` links, which serves all of 0.2.
const VERSION: &str = "0.2.12";

type Bind<S> = (Resource<S>, Resource<Network>, IpSocketAddress);

pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let candidates = Candidate::ALL.map(Candidate::version);
    for version in [VERSION].into_iter().chain(candidates) {
        tcp(linker, version)?;
        lookup::link(linker, version)?;
    }
    for version in [VERSION, Candidate::November.version()] {
        udp(linker, version)?;
    }
    udp_of_october(linker)
}

fn tcp(linker: &mut Linker<HostState>, version: &str) -> wasmtime::Result<()> {
    let mut tcp = linker.instance(&format!("wasi:sockets/tcp@{version}"))?;
    tcp.resource(
        "tcp-socket",
        ResourceType::host::<TcpSocket>(),
        |mut store, rep| {
            let state = store.data_mut();
            release(state, rep);
            HostTcpSocket::drop(&mut state.sockets(), Resource::new_own(rep))
        },
    )?;
    tcp.func_wrap_async(
        "[method]tcp-socket.start-bind",
        |mut store, (this, network, address): Bind<TcpSocket>| {
            Box::new(async move {
                if refuses_tcp_bind(address.into()) {
                    return Ok((Err(ErrorCode::AccessDenied),));
                }
                let mut sockets = store.data_mut().sockets();
                shown(HostTcpSocket::start_bind(&mut sockets, this, network, address).await)
            })
        },
    )?;
    tcp.func_wrap(
        "[method]tcp-socket.start-connect",
        |mut store, (this, network, address): Bind<TcpSocket>| {
            let state = store.data_mut();
            let Some(permit) = rules(state)?.try_permit() else {
                return Ok((Err(ErrorCode::NewSocketLimit),));
            };
            let socket = this.rep();
            let started = state.sockets().start_connect(this, network, address);
            if started.is_ok() {
                keep(state, socket, permit);
            }
            shown(started)
        },
    )
}

fn udp(linker: &mut Linker<HostState>, version: &str) -> wasmtime::Result<()> {
    let mut create = linker.instance(&format!("wasi:sockets/udp-create-socket@{version}"))?;
    create.func_wrap_async("create-udp-socket", |mut store, (family,): (IpAddressFamily,)| {
        Box::new(async move {
            let state = store.data_mut();
            let Some(permit) = rules(state)?.try_permit() else {
                return Ok((Err(ErrorCode::NewSocketLimit),));
            };
            let created = state.sockets().create_udp_socket(family).await;
            if let Ok(socket) = &created {
                keep(state, socket.rep(), permit);
            }
            shown(created)
        })
    })?;
    let mut udp = linker.instance(&format!("wasi:sockets/udp@{version}"))?;
    udp.resource(
        "udp-socket",
        ResourceType::host::<UdpSocket>(),
        |mut store, rep| {
            let state = store.data_mut();
            release(state, rep);
            HostUdpSocket::drop(&mut state.sockets(), Resource::new_own(rep))
        },
    )?;
    udp.func_wrap_async(
        "[method]udp-socket.start-bind",
        |mut store, (this, network, address): Bind<UdpSocket>| {
            Box::new(async move {
                let state = store.data_mut();
                let rules = rules(state)?;
                if refuses_udp_bind(&rules, SocketAddr::from(address)).await {
                    return Ok((Err(ErrorCode::AccessDenied),));
                }
                let mut sockets = state.sockets();
                shown(HostUdpSocket::start_bind(&mut sockets, this, network, address).await)
            })
        },
    )
}

/// October's UDP sockets are resources of their own.
fn udp_of_october(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let version = Candidate::October.version();
    let mut create = linker.instance(&format!("wasi:sockets/udp-create-socket@{version}"))?;
    create.func_wrap_async("create-udp-socket", |mut store, (family,): (IpAddressFamily,)| {
        Box::new(async move {
            let state = store.data_mut();
            let Some(permit) = rules(state)?.try_permit() else {
                return Ok((Err(ErrorCode::NewSocketLimit),));
            };
            let created = udp_october::new(&mut state.sockets(), family).await;
            if let Ok(socket) = &created {
                keep(state, socket.rep(), permit);
            }
            shown(created)
        })
    })?;
    let mut udp = linker.instance(&format!("wasi:sockets/udp@{version}"))?;
    udp.resource_async(
        "udp-socket",
        ResourceType::host::<udp_october::DatagramSocket>(),
        |mut store, rep| {
            Box::new(async move {
                let state = store.data_mut();
                release(state, rep);
                udp_october::close(&mut state.sockets(), Resource::new_own(rep)).await
            })
        },
    )?;
    udp.func_wrap_async(
        "[method]udp-socket.start-bind",
        |mut store, (this, network, address): Bind<udp_october::DatagramSocket>| {
            Box::new(async move {
                let state = store.data_mut();
                let rules = rules(state)?;
                if refuses_udp_bind(&rules, SocketAddr::from(address)).await {
                    return Ok((Err(ErrorCode::AccessDenied),));
                }
                shown(udp_october::start_bind(&mut state.sockets(), this, network, address).await)
            })
        },
    )
}

//! `wasi:sockets/udp` of October: a socket sends and receives by itself, where 0.2 has a pair of streams for each peer.
//!
//! The guest's socket is therefore one of ours, which owns a socket of 0.2 and its streams. They are opened as soon as the
//! socket is bound, and again when it is connected; a socket that was never bound can neither send nor receive.

use wasmtime::component::{ComponentType, Lift, Linker, Lower, Resource, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::udp::{
    HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream,
};
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket::Host as _;
use wasmtime_wasi::p2::{DynPollable, SocketError, SocketResult, UdpSocket};
use wasmtime_wasi::sockets::{WasiSocketsCtxView, WasiSocketsView};

use super::Candidate;
use super::network::{Sockets, ipv6_only, set_ipv6_only};

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Datagram {
    data: Vec<u8>,
    #[component(name = "remote-address")]
    remote_address: IpSocketAddress,
}

/// October's `udp-socket`.
pub(in crate::host) struct DatagramSocket {
    socket: Resource<UdpSocket>,
    streams: Option<(Resource<IncomingDatagramStream>, Resource<OutgoingDatagramStream>)>,
    /// Between `start-connect` and `finish-connect`.
    connecting: bool,
    /// What the guest is waiting for: since one pollable serves both ways, the one that last could not go on.
    sending: bool,
}

pub(in crate::host) type This = Resource<DatagramSocket>;

pub(super) fn link<T: WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let candidate = Candidate::October;
    let mut create = Sockets::new(linker, candidate, "wasi:sockets/udp-create-socket", T::sockets)?;
    create.attempt_async("create-udp-socket", |sockets, (family,)| {
        Box::pin(new(sockets, family))
    })?;

    let mut udp = Sockets::new(linker, candidate, "wasi:sockets/udp", T::sockets)?;
    udp.resource_async("udp-socket", |sockets, this| Box::pin(close(sockets, this)))?;
    udp.attempt_async(
        "[method]udp-socket.start-bind",
        |sockets, (this, network, address)| Box::pin(start_bind(sockets, this, network, address)),
    )?;
    udp.attempt_async("[method]udp-socket.finish-bind", |sockets, (this,)| {
        Box::pin(async move {
            let socket = inner(sockets.table, &this)?;
            sockets.finish_bind(socket)?;
            open(sockets, &this, None).await
        })
    })?;
    udp.attempt_async(
        "[method]udp-socket.start-connect",
        |sockets, (this, network, address)| Box::pin(start_connect(sockets, this, network, address)),
    )?;
    udp.attempt("[method]udp-socket.finish-connect", |sockets, (this,)| {
        finish_connect(sockets, this)
    })?;
    udp.attempt("[method]udp-socket.receive", |sockets, (this, most)| {
        receive(sockets, this, most)
    })?;
    udp.attempt("[method]udp-socket.send", |sockets, (this, datagrams)| {
        send(sockets, this, datagrams)
    })?;
    udp.value("[method]udp-socket.subscribe", |sockets, (this,)| {
        subscribe(sockets, this)
    })?;
    addresses(&mut udp)?;
    options(&mut udp)
}

pub(in crate::host) async fn start_bind(
    sockets: &mut WasiSocketsCtxView<'_>,
    this: This,
    network: Resource<Network>,
    address: IpSocketAddress,
) -> SocketResult<()> {
    let socket = inner(sockets.table, &this)?;
    sockets.start_bind(socket, network, address).await
}

fn addresses<T: WasiView + 'static>(udp: &mut Sockets<'_, T>) -> wasmtime::Result<()> {
    udp.attempt("[method]udp-socket.local-address", |sockets, (this,)| {
        let socket = inner(sockets.table, &this)?;
        sockets.local_address(socket)
    })?;
    udp.attempt("[method]udp-socket.remote-address", |sockets, (this,)| {
        let socket = inner(sockets.table, &this)?;
        sockets.remote_address(socket)
    })?;
    udp.value("[method]udp-socket.address-family", |sockets, (this,)| {
        let socket = inner(sockets.table, &this)?;
        sockets.address_family(socket)
    })?;
    udp.attempt("[method]udp-socket.ipv6-only", |sockets, (this,)| {
        let socket = inner(sockets.table, &this)?;
        let family = sockets.address_family(socket).map_err(SocketError::trap)?;
        Ok::<_, SocketError>(ipv6_only(family)?)
    })?;
    udp.attempt("[method]udp-socket.set-ipv6-only", |sockets, (this, value)| {
        let socket = inner(sockets.table, &this)?;
        let family = sockets.address_family(socket).map_err(SocketError::trap)?;
        Ok::<_, SocketError>(set_ipv6_only(family, value)?)
    })
}

fn options<T: WasiView + 'static>(udp: &mut Sockets<'_, T>) -> wasmtime::Result<()> {
    udp.attempt("[method]udp-socket.unicast-hop-limit", |sockets, (this,)| {
        let socket = inner(sockets.table, &this)?;
        sockets.unicast_hop_limit(socket)
    })?;
    udp.attempt(
        "[method]udp-socket.set-unicast-hop-limit",
        |sockets, (this, value)| {
            let socket = inner(sockets.table, &this)?;
            sockets.set_unicast_hop_limit(socket, value)
        },
    )?;
    udp.attempt("[method]udp-socket.receive-buffer-size", |sockets, (this,)| {
        let socket = inner(sockets.table, &this)?;
        sockets.receive_buffer_size(socket)
    })?;
    udp.attempt(
        "[method]udp-socket.set-receive-buffer-size",
        |sockets, (this, value)| {
            let socket = inner(sockets.table, &this)?;
            sockets.set_receive_buffer_size(socket, value)
        },
    )?;
    udp.attempt("[method]udp-socket.send-buffer-size", |sockets, (this,)| {
        let socket = inner(sockets.table, &this)?;
        sockets.send_buffer_size(socket)
    })?;
    udp.attempt(
        "[method]udp-socket.set-send-buffer-size",
        |sockets, (this, value)| {
            let socket = inner(sockets.table, &this)?;
            sockets.set_send_buffer_size(socket, value)
        },
    )
}

pub(in crate::host) async fn new(
    sockets: &mut WasiSocketsCtxView<'_>,
    family: IpAddressFamily,
) -> SocketResult<This> {
    let socket = sockets.create_udp_socket(family).await?;
    let socket = DatagramSocket {
        socket,
        streams: None,
        connecting: false,
        sending: false,
    };
    Ok(sockets.table.push(socket)?)
}

pub(in crate::host) async fn close(sockets: &mut WasiSocketsCtxView<'_>, this: This) -> wasmtime::Result<()> {
    let DatagramSocket { socket, streams, .. } = sockets.table.delete(this)?;
    close_streams(sockets, streams).await?;
    HostUdpSocket::drop(sockets, socket)
}

async fn close_streams(
    sockets: &mut WasiSocketsCtxView<'_>,
    streams: Option<(Resource<IncomingDatagramStream>, Resource<OutgoingDatagramStream>)>,
) -> wasmtime::Result<()> {
    if let Some((incoming, outgoing)) = streams {
        HostIncomingDatagramStream::drop(sockets, incoming)?;
        HostOutgoingDatagramStream::drop(sockets, outgoing).await?;
    }
    Ok(())
}

/// Replaces the streams by a pair for `peer`, or for everyone.
async fn open(
    sockets: &mut WasiSocketsCtxView<'_>,
    this: &This,
    peer: Option<IpSocketAddress>,
) -> SocketResult<()> {
    let before = sockets.table.get_mut(this)?.streams.take();
    close_streams(sockets, before).await.map_err(SocketError::trap)?;
    let socket = inner(sockets.table, this)?;
    let streams = sockets.stream(socket, peer).await?;
    sockets.table.get_mut(this)?.streams = Some(streams);
    Ok(())
}

async fn start_connect(
    sockets: &mut WasiSocketsCtxView<'_>,
    this: This,
    network: Resource<Network>,
    address: IpSocketAddress,
) -> SocketResult<()> {
    sockets.table.get(&network)?;
    if sockets.table.get(&this)?.connecting {
        return Err(ErrorCode::ConcurrencyConflict.into());
    }
    if let Err(error) = open(sockets, &this, Some(address)).await {
        // The socket goes on as it was; if even that fails it was never bound, which is what the first error says.
        let _ = open(sockets, &this, None).await;
        return Err(error);
    }
    sockets.table.get_mut(&this)?.connecting = true;
    Ok(())
}

fn finish_connect(sockets: &mut WasiSocketsCtxView<'_>, this: This) -> SocketResult<()> {
    match std::mem::take(&mut sockets.table.get_mut(&this)?.connecting) {
        true => Ok(()),
        false => Err(ErrorCode::NotInProgress.into()),
    }
}

fn receive(sockets: &mut WasiSocketsCtxView<'_>, this: This, most: u64) -> SocketResult<Vec<Datagram>> {
    let socket = sockets.table.get_mut(&this)?;
    let (incoming, _) = socket.streams.as_ref().ok_or(ErrorCode::InvalidState)?;
    let incoming = Resource::new_borrow(incoming.rep());
    socket.sending = false;
    let received = sockets.receive(incoming, most)?;
    if received.is_empty() && most > 0 {
        return Err(ErrorCode::WouldBlock.into());
    }
    let datagram = |IncomingDatagram { data, remote_address }| Datagram { data, remote_address };
    Ok(received.into_iter().map(datagram).collect())
}

fn send(sockets: &mut WasiSocketsCtxView<'_>, this: This, datagrams: Vec<Datagram>) -> SocketResult<u64> {
    let socket = sockets.table.get(&this)?;
    let (_, outgoing) = socket.streams.as_ref().ok_or(ErrorCode::InvalidState)?;
    let outgoing = outgoing.rep();
    let permitted =
        usize::try_from(sockets.check_send(Resource::new_borrow(outgoing))?).unwrap_or(usize::MAX);
    sockets.table.get_mut(&this)?.sending = permitted < datagrams.len();
    if permitted == 0 && !datagrams.is_empty() {
        return Err(ErrorCode::WouldBlock.into());
    }
    let datagram = |Datagram { data, remote_address }| {
        let remote_address = Some(remote_address);
        OutgoingDatagram { data, remote_address }
    };
    let datagrams = datagrams.into_iter().take(permitted).map(datagram).collect();
    sockets.send(Resource::new_borrow(outgoing), datagrams)
}

fn subscribe(sockets: &mut WasiSocketsCtxView<'_>, this: This) -> wasmtime::Result<Resource<DynPollable>> {
    let socket = sockets.table.get(&this)?;
    match &socket.streams {
        Some((_, outgoing)) if !socket.connecting && socket.sending => {
            let outgoing = Resource::new_borrow(outgoing.rep());
            HostOutgoingDatagramStream::subscribe(sockets, outgoing)
        }
        Some((incoming, _)) if !socket.connecting => {
            let incoming = Resource::new_borrow(incoming.rep());
            HostIncomingDatagramStream::subscribe(sockets, incoming)
        }
        // Binding and connecting are never waited for.
        _ => {
            let socket = Resource::new_borrow(socket.socket.rep());
            HostUdpSocket::subscribe(sockets, socket)
        }
    }
}

fn inner(
    table: &ResourceTable,
    this: &This,
) -> Result<Resource<UdpSocket>, wasmtime::component::ResourceTableError> {
    Ok(Resource::new_borrow(table.get(this)?.socket.rep()))
}

//! `wasi:sockets/udp` of November, where datagrams travel in streams, as in 0.2.

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::SocketError;
use wasmtime_wasi::p2::UdpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp::{
    HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagramStream,
    OutgoingDatagramStream,
};
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket::Host as _;
use wasmtime_wasi::sockets::WasiSocketsView;

use super::Candidate;
use super::network::{Sockets, ipv6_only, set_ipv6_only};

pub(super) fn link<T: WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let candidate = Candidate::November;
    let mut create = Sockets::new(linker, candidate, "wasi:sockets/udp-create-socket", T::sockets)?;
    create.attempt_async("create-udp-socket", |sockets, (family,)| {
        Box::pin(sockets.create_udp_socket(family))
    })?;

    let mut udp = Sockets::new(linker, candidate, "wasi:sockets/udp", T::sockets)?;
    udp.resource::<UdpSocket>("udp-socket", |sockets, this| HostUdpSocket::drop(sockets, this))?;
    bindings(&mut udp)?;
    options(&mut udp)?;
    incoming(&mut udp)?;
    outgoing(&mut udp)
}

fn bindings<T: WasiView + 'static>(udp: &mut Sockets<'_, T>) -> wasmtime::Result<()> {
    udp.attempt_async(
        "[method]udp-socket.start-bind",
        |sockets, (this, network, address)| Box::pin(sockets.start_bind(this, network, address)),
    )?;
    udp.attempt("[method]udp-socket.finish-bind", |sockets, (this,)| {
        sockets.finish_bind(this)
    })?;
    udp.attempt_async("[method]udp-socket.stream", |sockets, (this, address)| {
        Box::pin(sockets.stream(this, address))
    })?;
    udp.attempt("[method]udp-socket.local-address", |sockets, (this,)| {
        sockets.local_address(this)
    })?;
    udp.attempt("[method]udp-socket.remote-address", |sockets, (this,)| {
        sockets.remote_address(this)
    })?;
    udp.value("[method]udp-socket.subscribe", |sockets, (this,)| {
        HostUdpSocket::subscribe(sockets, this)
    })
}

fn options<T: WasiView + 'static>(udp: &mut Sockets<'_, T>) -> wasmtime::Result<()> {
    udp.value("[method]udp-socket.address-family", |sockets, (this,)| {
        sockets.address_family(this)
    })?;
    udp.attempt("[method]udp-socket.ipv6-only", |sockets, (this,)| {
        let family = sockets.address_family(this).map_err(SocketError::trap)?;
        Ok::<_, SocketError>(ipv6_only(family)?)
    })?;
    udp.attempt("[method]udp-socket.set-ipv6-only", |sockets, (this, value)| {
        let family = sockets.address_family(this).map_err(SocketError::trap)?;
        Ok::<_, SocketError>(set_ipv6_only(family, value)?)
    })?;
    udp.attempt("[method]udp-socket.unicast-hop-limit", |sockets, (this,)| {
        sockets.unicast_hop_limit(this)
    })?;
    udp.attempt(
        "[method]udp-socket.set-unicast-hop-limit",
        |sockets, (this, value)| sockets.set_unicast_hop_limit(this, value),
    )?;
    udp.attempt("[method]udp-socket.receive-buffer-size", |sockets, (this,)| {
        sockets.receive_buffer_size(this)
    })?;
    udp.attempt(
        "[method]udp-socket.set-receive-buffer-size",
        |sockets, (this, value)| sockets.set_receive_buffer_size(this, value),
    )?;
    udp.attempt("[method]udp-socket.send-buffer-size", |sockets, (this,)| {
        sockets.send_buffer_size(this)
    })?;
    udp.attempt(
        "[method]udp-socket.set-send-buffer-size",
        |sockets, (this, value)| sockets.set_send_buffer_size(this, value),
    )
}

fn incoming<T: WasiView + 'static>(udp: &mut Sockets<'_, T>) -> wasmtime::Result<()> {
    udp.resource::<IncomingDatagramStream>("incoming-datagram-stream", |sockets, this| {
        HostIncomingDatagramStream::drop(sockets, this)
    })?;
    udp.attempt(
        "[method]incoming-datagram-stream.receive",
        |sockets, (this, most)| sockets.receive(this, most),
    )?;
    udp.value(
        "[method]incoming-datagram-stream.subscribe",
        |sockets, (this,)| HostIncomingDatagramStream::subscribe(sockets, this),
    )
}

fn outgoing<T: WasiView + 'static>(udp: &mut Sockets<'_, T>) -> wasmtime::Result<()> {
    udp.resource_async::<OutgoingDatagramStream>("outgoing-datagram-stream", |sockets, this| {
        Box::pin(HostOutgoingDatagramStream::drop(sockets, this))
    })?;
    udp.attempt(
        "[method]outgoing-datagram-stream.check-send",
        |sockets, (this,)| sockets.check_send(this),
    )?;
    udp.attempt(
        "[method]outgoing-datagram-stream.send",
        |sockets, (this, datagrams)| sockets.send(this, datagrams),
    )?;
    udp.value(
        "[method]outgoing-datagram-stream.subscribe",
        |sockets, (this,)| HostOutgoingDatagramStream::subscribe(sockets, this),
    )
}

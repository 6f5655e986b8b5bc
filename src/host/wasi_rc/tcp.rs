//! `wasi:sockets/tcp`.

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::SocketError;
use wasmtime_wasi::p2::TcpSocket;
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket;
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket::Host as _;
use wasmtime_wasi::sockets::WasiSocketsView;

use super::Candidate;
use super::network::{Sockets, ipv6_only, set_ipv6_only};

pub(super) fn link<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    candidate: Candidate,
) -> wasmtime::Result<()> {
    let mut create = Sockets::new(linker, candidate, "wasi:sockets/tcp-create-socket", T::sockets)?;
    create.attempt("create-tcp-socket", |sockets, (family,)| {
        sockets.create_tcp_socket(family)
    })?;

    let mut tcp = Sockets::new(linker, candidate, "wasi:sockets/tcp", T::sockets)?;
    tcp.resource::<TcpSocket>("tcp-socket", |sockets, this| sockets.drop(this))?;
    connections(&mut tcp)?;
    options(&mut tcp)?;
    match candidate {
        Candidate::October => october(&mut tcp),
        Candidate::November => november(&mut tcp),
    }
}

fn connections<T: WasiView + 'static>(tcp: &mut Sockets<'_, T>) -> wasmtime::Result<()> {
    tcp.attempt_async(
        "[method]tcp-socket.start-bind",
        |sockets, (this, network, address)| Box::pin(sockets.start_bind(this, network, address)),
    )?;
    tcp.attempt("[method]tcp-socket.finish-bind", |sockets, (this,)| {
        sockets.finish_bind(this)
    })?;
    tcp.attempt(
        "[method]tcp-socket.start-connect",
        |sockets, (this, network, address)| sockets.start_connect(this, network, address),
    )?;
    tcp.attempt("[method]tcp-socket.finish-connect", |sockets, (this,)| {
        sockets.finish_connect(this)
    })?;
    tcp.attempt_async("[method]tcp-socket.start-listen", |sockets, (this,)| {
        Box::pin(sockets.start_listen(this))
    })?;
    tcp.attempt("[method]tcp-socket.finish-listen", |sockets, (this,)| {
        sockets.finish_listen(this)
    })?;
    tcp.attempt("[method]tcp-socket.accept", |sockets, (this,)| {
        sockets.accept(this)
    })?;
    tcp.attempt("[method]tcp-socket.local-address", |sockets, (this,)| {
        sockets.local_address(this)
    })?;
    tcp.attempt("[method]tcp-socket.remote-address", |sockets, (this,)| {
        sockets.remote_address(this)
    })?;
    tcp.value("[method]tcp-socket.address-family", |sockets, (this,)| {
        sockets.address_family(this)
    })?;
    tcp.value("[method]tcp-socket.subscribe", |sockets, (this,)| {
        sockets.subscribe(this)
    })?;
    tcp.attempt("[method]tcp-socket.shutdown", |sockets, (this, how)| {
        sockets.shutdown(this, how)
    })
}

fn options<T: WasiView + 'static>(tcp: &mut Sockets<'_, T>) -> wasmtime::Result<()> {
    tcp.attempt("[method]tcp-socket.ipv6-only", |sockets, (this,)| {
        let family = sockets.address_family(this).map_err(SocketError::trap)?;
        Ok::<_, SocketError>(ipv6_only(family)?)
    })?;
    tcp.attempt("[method]tcp-socket.set-ipv6-only", |sockets, (this, value)| {
        let family = sockets.address_family(this).map_err(SocketError::trap)?;
        Ok::<_, SocketError>(set_ipv6_only(family, value)?)
    })?;
    tcp.attempt(
        "[method]tcp-socket.set-listen-backlog-size",
        |sockets, (this, value)| sockets.set_listen_backlog_size(this, value),
    )?;
    tcp.attempt("[method]tcp-socket.receive-buffer-size", |sockets, (this,)| {
        sockets.receive_buffer_size(this)
    })?;
    tcp.attempt(
        "[method]tcp-socket.set-receive-buffer-size",
        |sockets, (this, value)| sockets.set_receive_buffer_size(this, value),
    )?;
    tcp.attempt("[method]tcp-socket.send-buffer-size", |sockets, (this,)| {
        sockets.send_buffer_size(this)
    })?;
    tcp.attempt(
        "[method]tcp-socket.set-send-buffer-size",
        |sockets, (this, value)| sockets.set_send_buffer_size(this, value),
    )
}

/// October's names for what 0.2 has, and `no-delay`, which it has not: segments are never sent early, and the wish for it is
/// heard without effect, since a guest could do nothing about a refusal.
fn october<T: WasiView + 'static>(tcp: &mut Sockets<'_, T>) -> wasmtime::Result<()> {
    tcp.attempt("[method]tcp-socket.keep-alive", |sockets, (this,)| {
        sockets.keep_alive_enabled(this)
    })?;
    tcp.attempt("[method]tcp-socket.set-keep-alive", |sockets, (this, value)| {
        sockets.set_keep_alive_enabled(this, value)
    })?;
    tcp.attempt("[method]tcp-socket.no-delay", |sockets, (this,)| {
        sockets.table.get::<TcpSocket>(&this)?;
        Ok::<_, SocketError>(false)
    })?;
    tcp.attempt(
        "[method]tcp-socket.set-no-delay",
        |sockets, (this, _): (_, bool)| {
            sockets.table.get::<TcpSocket>(&this)?;
            Ok::<_, SocketError>(())
        },
    )?;
    tcp.attempt("[method]tcp-socket.unicast-hop-limit", |sockets, (this,)| {
        sockets.hop_limit(this)
    })?;
    tcp.attempt(
        "[method]tcp-socket.set-unicast-hop-limit",
        |sockets, (this, value)| sockets.set_hop_limit(this, value),
    )
}

fn november<T: WasiView + 'static>(tcp: &mut Sockets<'_, T>) -> wasmtime::Result<()> {
    tcp.value("[method]tcp-socket.is-listening", |sockets, (this,)| {
        sockets.is_listening(this)
    })?;
    tcp.attempt("[method]tcp-socket.keep-alive-enabled", |sockets, (this,)| {
        sockets.keep_alive_enabled(this)
    })?;
    tcp.attempt(
        "[method]tcp-socket.set-keep-alive-enabled",
        |sockets, (this, value)| sockets.set_keep_alive_enabled(this, value),
    )?;
    tcp.attempt("[method]tcp-socket.keep-alive-idle-time", |sockets, (this,)| {
        sockets.keep_alive_idle_time(this)
    })?;
    tcp.attempt(
        "[method]tcp-socket.set-keep-alive-idle-time",
        |sockets, (this, value)| sockets.set_keep_alive_idle_time(this, value),
    )?;
    tcp.attempt("[method]tcp-socket.keep-alive-interval", |sockets, (this,)| {
        sockets.keep_alive_interval(this)
    })?;
    tcp.attempt(
        "[method]tcp-socket.set-keep-alive-interval",
        |sockets, (this, value)| sockets.set_keep_alive_interval(this, value),
    )?;
    tcp.attempt("[method]tcp-socket.keep-alive-count", |sockets, (this,)| {
        sockets.keep_alive_count(this)
    })?;
    tcp.attempt(
        "[method]tcp-socket.set-keep-alive-count",
        |sockets, (this, value)| sockets.set_keep_alive_count(this, value),
    )?;
    tcp.attempt("[method]tcp-socket.hop-limit", |sockets, (this,)| {
        sockets.hop_limit(this)
    })?;
    tcp.attempt("[method]tcp-socket.set-hop-limit", |sockets, (this, value)| {
        sockets.set_hop_limit(this, value)
    })
}

//! Raw sockets and names. Errors are the codes of `wasi:sockets`, by their names.

use std::net::SocketAddr;

use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::{OutgoingDatagram, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

use crate::body;
use query::Query;

type Outcome<T> = Result<T, ErrorCode>;

/// Sends `text` to `address` over TCP, and gives back all that comes until the other side closes.
pub fn tcp(query: &Query) -> Outcome<String> {
    let (address, family) = address(query.text("address"))?;
    let socket = create_tcp_socket(family)?;
    let network = instance_network();
    if !query.text("bind").is_empty() {
        let (local, _) = self::address(query.text("bind"))?;
        socket.start_bind(&network, local)?;
        socket.finish_bind()?;
    }
    let (input, output) = connect(&socket, address)?;
    let failed = |_| ErrorCode::Unknown;
    output
        .blocking_write_and_flush(query.text("text").as_bytes())
        .map_err(failed)?;
    socket.shutdown(ShutdownType::Send)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = body::read(&input) {
        bytes.extend(chunk);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Opens `n` connections to `address` and keeps them until all are open.
pub fn tcp_many(query: &Query) -> Outcome<String> {
    let (address, family) = address(query.text("address"))?;
    let mut open = Vec::new();
    for _ in 0..query.number("n", 1) {
        let socket = create_tcp_socket(family)?;
        match connect(&socket, address) {
            // The streams go before their socket.
            Ok(streams) => open.push((streams, socket)),
            Err(error) => return Ok(format!("{} then {}", open.len(), error.name())),
        }
    }
    Ok(open.len().to_string())
}

/// Listens on `address`.
pub fn listen(query: &Query) -> Outcome<String> {
    let (address, family) = address(query.text("address"))?;
    let socket = create_tcp_socket(family)?;
    socket.start_bind(&instance_network(), address)?;
    socket.finish_bind()?;
    socket.start_listen()?;
    socket.finish_listen()?;
    Ok("listening".into())
}

/// Listens where the host likes.
pub fn listen_anywhere(query: &Query) -> Outcome<String> {
    let (_, family) = address(query.text("address"))?;
    let socket = create_tcp_socket(family)?;
    socket.start_listen()?;
    socket.finish_listen()?;
    Ok("listening".into())
}

/// Sends `text` to `address` in one datagram from `bind`, or from anywhere, and gives back the datagram that comes.
pub fn udp(query: &Query) -> Outcome<String> {
    let (address, family) = address(query.text("address"))?;
    let socket = create_udp_socket(family)?;
    if !query.text("bind").is_empty() {
        let (local, _) = self::address(query.text("bind"))?;
        socket.start_bind(&instance_network(), local)?;
        socket.finish_bind()?;
    }
    let connected = (query.text("connect") == "yes").then_some(address);
    let remote = connected.is_none().then_some(address);
    let (incoming, outgoing) = socket.stream(connected)?;
    while outgoing.check_send()? == 0 {
        outgoing.subscribe().block();
    }
    outgoing.send(&[OutgoingDatagram {
        data: query.text("text").into(),
        remote_address: remote,
    }])?;
    loop {
        if let Some(datagram) = incoming.receive(1)?.pop() {
            return Ok(String::from_utf8_lossy(&datagram.data).into_owned());
        }
        incoming.subscribe().block();
    }
}

/// Makes `n` UDP sockets and keeps them until all are there.
pub fn udp_many(query: &Query) -> Outcome<String> {
    let mut open: Vec<UdpSocket> = Vec::new();
    for _ in 0..query.number("n", 1) {
        match create_udp_socket(IpAddressFamily::Ipv4) {
            Ok(socket) => open.push(socket),
            Err(error) => return Ok(format!("{} then {}", open.len(), error.name())),
        }
    }
    Ok(open.len().to_string())
}

/// The addresses of `name`.
pub fn lookup(query: &Query) -> Outcome<String> {
    let stream = resolve_addresses(&instance_network(), query.text("name"))?;
    let mut found = Vec::new();
    loop {
        match stream.resolve_next_address() {
            Ok(Some(IpAddress::Ipv4((a, b, c, d)))) => found.push(format!("{a}.{b}.{c}.{d}")),
            Ok(Some(IpAddress::Ipv6(parts))) => found.push(format!("{parts:?}")),
            Ok(None) => return Ok(found.join(" ")),
            Err(ErrorCode::WouldBlock) => stream.subscribe().block(),
            Err(error) => return Err(error),
        }
    }
}

fn connect(
    socket: &TcpSocket,
    address: IpSocketAddress,
) -> Outcome<(
    wasip2::io::streams::InputStream,
    wasip2::io::streams::OutputStream,
)> {
    socket.start_connect(&instance_network(), address)?;
    loop {
        match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            connected => return connected,
        }
    }
}

fn address(text: &str) -> Outcome<(IpSocketAddress, IpAddressFamily)> {
    match text.parse().map_err(|_| ErrorCode::InvalidArgument)? {
        SocketAddr::V4(address) => {
            let [a, b, c, d] = address.ip().octets();
            let address = Ipv4SocketAddress {
                port: address.port(),
                address: (a, b, c, d),
            };
            Ok((IpSocketAddress::Ipv4(address), IpAddressFamily::Ipv4))
        }
        SocketAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.ip().segments();
            let address = Ipv6SocketAddress {
                port: address.port(),
                flow_info: 0,
                address: (a, b, c, d, e, f, g, h),
                scope_id: 0,
            };
            Ok((IpSocketAddress::Ipv6(address), IpAddressFamily::Ipv6))
        }
    }
}

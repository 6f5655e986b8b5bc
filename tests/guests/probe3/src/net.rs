//! Raw sockets and names. Errors are the codes of `wasi:sockets` 0.3.

use std::net::SocketAddr;

use spin_sdk::wasip3::sockets::ip_name_lookup::resolve_addresses;
use spin_sdk::wasip3::sockets::types::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket,
    UdpSocket,
};
use spin_sdk::wasip3::{spawn, wit_stream};

use query::Query;

/// What came, or the error as text.
type Outcome = Result<String, String>;

fn shown(error: ErrorCode) -> String {
    format!("{error:?}")
}

/// Sends `text` to `address` over TCP, and gives back all that comes until the other side closes.
pub async fn tcp(query: &Query) -> Outcome {
    let (address, family) = address(query.text("address"))?;
    let socket = TcpSocket::create(family).map_err(shown)?;
    if !query.text("bind").is_empty() {
        let (local, _) = self::address(query.text("bind"))?;
        socket.bind(local).map_err(shown)?;
    }
    socket.connect(address).await.map_err(shown)?;
    let (mut writer, reader) = wit_stream::new();
    let sent = socket.send(reader);
    let (received, _ended) = socket.receive();
    let bytes = query.text("text").as_bytes().to_vec();
    spawn(async move { drop(writer.write_all(bytes).await) });
    let bytes = received.collect().await;
    drop(sent);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Opens `n` connections to `address` and keeps them until all are open.
pub async fn tcp_many(query: &Query) -> Outcome {
    let (address, family) = address(query.text("address"))?;
    let mut open = Vec::new();
    for _ in 0..query.number("n", 1) {
        let socket = TcpSocket::create(family).map_err(shown)?;
        match socket.connect(address).await {
            Ok(()) => open.push(socket),
            Err(error) => return Ok(format!("{} then {error:?}", open.len())),
        }
    }
    Ok(open.len().to_string())
}

/// Listens on `address`.
pub async fn listen(query: &Query) -> Outcome {
    let (address, family) = address(query.text("address"))?;
    let socket = TcpSocket::create(family).map_err(shown)?;
    socket.bind(address).map_err(shown)?;
    socket.listen().map_err(shown)?;
    Ok("listening".into())
}

/// Sends `text` to `address` in one datagram from `bind`, or from anywhere, and gives back the datagram that comes.
pub async fn udp(query: &Query) -> Outcome {
    let (address, family) = address(query.text("address"))?;
    let socket = UdpSocket::create(family).map_err(shown)?;
    if !query.text("bind").is_empty() {
        let (local, _) = self::address(query.text("bind"))?;
        socket.bind(local).map_err(shown)?;
    }
    socket
        .send(query.text("text").as_bytes().to_vec(), Some(address))
        .await
        .map_err(shown)?;
    let (data, _from) = socket.receive().await.map_err(shown)?;
    Ok(String::from_utf8_lossy(&data).into_owned())
}

/// Makes `n` UDP sockets and keeps them until all are there.
pub fn udp_many(query: &Query) -> Outcome {
    let mut open = Vec::new();
    for _ in 0..query.number("n", 1) {
        match UdpSocket::create(IpAddressFamily::Ipv4) {
            Ok(socket) => open.push(socket),
            Err(error) => return Ok(format!("{} then {error:?}", open.len())),
        }
    }
    Ok(open.len().to_string())
}

/// The addresses of `name`.
pub async fn lookup(query: &Query) -> Outcome {
    let found = resolve_addresses(query.text("name").into()).await;
    let found = found.map_err(|error| format!("{error:?}"))?;
    let texts = found.into_iter().map(|address| match address {
        IpAddress::Ipv4((a, b, c, d)) => format!("{a}.{b}.{c}.{d}"),
        IpAddress::Ipv6(parts) => format!("{parts:?}"),
    });
    Ok(texts.collect::<Vec<_>>().join(" "))
}

fn address(text: &str) -> Result<(IpSocketAddress, IpAddressFamily), String> {
    match text.parse().map_err(|_| "no address".to_string())? {
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

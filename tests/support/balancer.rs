//! What a balancer does before its clients' first bytes.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_util::either::Either;

use super::client::{Connection, Result};

/// A connection over TCP or over a Unix socket.
pub type Stream = Either<TcpStream, UnixStream>;

/// Connects from one of this machine's addresses: any of 127.0.0.0/8 is.
pub async fn connect_from(source: &str, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let source: IpAddr = source.parse().expect("an address");
    socket
        .bind((source, 0).into())
        .expect("an address of this machine");
    socket.connect(address).await.expect("a connection")
}

pub async fn connect_unix(path: &Path) -> UnixStream {
    UnixStream::connect(path).await.expect("a connection")
}

/// Speaks HTTP/1.1, or HTTP/2, after a header of the PROXY protocol (which may be empty).
pub async fn speak(mut stream: Stream, header: &[u8], h2: bool) -> Result<Connection> {
    stream
        .write_all(header)
        .await
        .map_err(|error| error.to_string())?;
    match h2 {
        false => Connection::over(stream, "http", "localhost".into()).await,
        true => Connection::h2_over(stream, "http", "localhost".into()).await,
    }
}

/// A header of version 1 that speaks for `client`.
pub fn v1(client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().expect("an address");
    let (family, server) = match client {
        SocketAddr::V4(_) => ("TCP4", "192.0.2.80"),
        SocketAddr::V6(_) => ("TCP6", "2001:db8::80"),
    };
    let (ip, port) = (client.ip(), client.port());
    format!("PROXY {family} {ip} {server} {port} 80\r\n").into_bytes()
}

/// The same of version 2, with a value besides, as balancers add them.
pub fn v2(client: &str) -> Vec<u8> {
    const PROXY: u8 = 0x21;
    let (family, mut body) = match client.parse().expect("an address") {
        SocketAddr::V4(client) => (0x11, [client.ip().octets(), [192, 0, 2, 80]].concat()),
        SocketAddr::V6(client) => (0x21, [client.ip().octets(), [0; 16]].concat()),
    };
    let client: SocketAddr = client.parse().expect("an address");
    body.extend(client.port().to_be_bytes());
    body.extend(80_u16.to_be_bytes());
    // PP2_TYPE_AUTHORITY
    body.extend([2, 0, 12]);
    body.extend(b"shop.example");
    v2_header(PROXY, family, &body)
}

/// A header of version 2 by which the balancer speaks for itself.
pub fn v2_local() -> Vec<u8> {
    v2_header(0x20, 0, b"")
}

fn v2_header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, family]);
    header.extend((body.len() as u16).to_be_bytes());
    header.extend(body);
    header
}

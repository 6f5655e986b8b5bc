//! The PROXY protocol (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>): a balancer that passes connections on
//! as they are says before their first byte whose they are.

use std::net::SocketAddr;

use ppp::v1;
use ppp::v2::{self, Command};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// Bytes of the longest header of version 1, its line end included.
const LONGEST_V1: u64 = 107;
/// Bytes of a header of version 2 before its addresses.
const PREFIX_V2: usize = 16;
/// Bytes that are read at once while the header is; it has mostly less.
const BUFFER: usize = 256;

/// Whom a balancer speaks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proxied {
    /// For itself, as when it asks for the server's health; or it does not know.
    Itself,
    /// For this client; `None` is one of a Unix socket.
    Client(Option<SocketAddr>),
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    #[error("the connection does not begin with a header of the PROXY protocol")]
    Missing,
    #[error("the header of version 1 is wrong: {0}")]
    V1(#[from] v1::BinaryParseError),
    #[error("the header of version 2 is wrong: {0}")]
    V2(#[from] v2::ParseError),
    #[error("it took too long")]
    TimedOut,
    #[error("the connection ended")]
    Io(#[from] std::io::Error),
}

/// Reads the header; what comes after it is what the stream that is given back begins with.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: S) -> Result<(Proxied, BufReader<S>), ProxyError> {
    let mut stream = BufReader::with_capacity(BUFFER, stream);
    let proxied = match stream.fill_buf().await?.first() {
        Some(first) if v1::PROTOCOL_PREFIX.as_bytes().starts_with(&[*first]) => read_v1(&mut stream).await?,
        Some(first) if v2::PROTOCOL_PREFIX.starts_with(&[*first]) => read_v2(&mut stream).await?,
        Some(_) => return Err(ProxyError::Missing),
        None => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
    };
    Ok((proxied, stream))
}

async fn read_v1(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<Proxied, ProxyError> {
    let mut line = Vec::new();
    stream.take(LONGEST_V1).read_until(b'\n', &mut line).await?;
    if !line.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) {
        return Err(ProxyError::Missing);
    }
    let header = v1::Header::try_from(line.as_slice())?;
    Ok(match header.addresses {
        v1::Addresses::Unknown => Proxied::Itself,
        v1::Addresses::Tcp4(of) => client((of.source_address, of.source_port)),
        v1::Addresses::Tcp6(of) => client((of.source_address, of.source_port)),
    })
}

async fn read_v2(stream: &mut (impl AsyncRead + Unpin)) -> Result<Proxied, ProxyError> {
    let mut header = vec![0; PREFIX_V2];
    stream.read_exact(&mut header).await?;
    if !header.starts_with(v2::PROTOCOL_PREFIX) {
        return Err(ProxyError::Missing);
    }
    // The last two bytes are the length of the rest: 64 KiB at most.
    let length = u16::from_be_bytes([header[PREFIX_V2 - 2], header[PREFIX_V2 - 1]]);
    header.resize(PREFIX_V2 + usize::from(length), 0);
    stream.read_exact(&mut header[PREFIX_V2..]).await?;
    let header = v2::Header::try_from(header.as_slice())?;
    Ok(match (header.command, header.addresses) {
        (Command::Local, _) | (_, v2::Addresses::Unspecified) => Proxied::Itself,
        (_, v2::Addresses::IPv4(of)) => client((of.source_address, of.source_port)),
        (_, v2::Addresses::IPv6(of)) => client((of.source_address, of.source_port)),
        (_, v2::Addresses::Unix(_)) => Proxied::Client(None),
    })
}

fn client(address: impl Into<SocketAddr>) -> Proxied {
    Proxied::Client(Some(address.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the header says, and what comes after it.
    async fn parse(bytes: &[u8]) -> Result<(Proxied, Vec<u8>), ProxyError> {
        let (proxied, mut rest) = read(bytes).await?;
        let mut after = Vec::new();
        rest.read_to_end(&mut after).await.unwrap();
        Ok((proxied, after))
    }

    fn v2(command_and_version: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut header = v2::PROTOCOL_PREFIX.to_vec();
        header.extend([command_and_version, family]);
        header.extend((body.len() as u16).to_be_bytes());
        header.extend(body);
        header
    }

    fn of(address: &str) -> Proxied {
        client(address.parse::<SocketAddr>().unwrap())
    }

    #[tokio::test]
    async fn both_versions_name_the_client_and_leave_the_rest_of_the_stream() {
        let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0, 80];
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        v6[15] = 1;
        v6[33] = 9;
        let mut with_more = v4.to_vec();
        // A value of a type that we do not know: long enough to need several reads.
        with_more.extend([0xe0, 2, 0].into_iter().chain([b'x'; 512]));
        let cases = [
            (
                b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 80\r\n".to_vec(),
                of("192.0.2.1:4660"),
            ),
            (
                b"PROXY TCP6 2001:db8::1 ::1 9 80\r\n".to_vec(),
                of("[2001:db8::1]:9"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Proxied::Itself),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), Proxied::Itself),
            (v2(0x21, 0x11, &v4), of("192.0.2.1:4660")),
            (v2(0x21, 0x11, &with_more), of("192.0.2.1:4660")),
            (v2(0x21, 0x21, &v6), of("[2001:db8::1]:9")),
            (v2(0x21, 0x31, &[0; 216]), Proxied::Client(None)),
            (v2(0x21, 0x00, b""), Proxied::Itself),
            (v2(0x20, 0x11, &v4), Proxied::Itself),
            (v2(0x20, 0x00, b""), Proxied::Itself),
        ];
        for (mut bytes, expected) in cases {
            bytes.extend(b"GET / HTTP/1.1\r\n");
            let (proxied, after) = parse(&bytes).await.unwrap();
            assert_eq!(proxied, expected, "{}", bytes.escape_ascii());
            assert_eq!(after, b"GET / HTTP/1.1\r\n");
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        for bytes in [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"POST / HTTP/1.1\r\n\r\n".to_vec(),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            b"\x16\x03\x01".to_vec(),
            b"\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_vec(),
            b"PROXY".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 80".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 99999 80\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 ::1 9 80\r\n".to_vec(),
            format!("PROXY UNKNOWN {}\r\n", "x".repeat(100)).into_bytes(),
            v2(0x31, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x22, 0x11, &[0; 12]),
            Vec::new(),
        ] {
            assert!(parse(&bytes).await.is_err(), "{}", bytes.escape_ascii());
        }
    }
}

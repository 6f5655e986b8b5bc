//! From the address of a server to a connection that can subscribe.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use redis::aio::PubSub;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError};
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::gate::{Gate, Gated};
use crate::net::tls_client_config;
use crate::variables::Secret;

/// How long connecting may take, from the name to the server's greeting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A subscriber says nothing of its own accord: the kernel asks whether the server is still there.
const KEEP_ALIVE_TIME: Duration = Duration::from_secs(30);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_PROBES: u32 = 3;

/// A server, as an address names it. Two are the same when their addresses are.
#[derive(Clone)]
pub(super) struct Server {
    address: Secret,
    info: ConnectionInfo,
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl Eq for Server {}

impl Hash for Server {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.expose().hash(state);
    }
}

/// The address without its user and password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) => write!(f, "redis://{host}:{port}"),
            ConnectionAddr::TcpTls { host, port, .. } => write!(f, "rediss://{host}:{port}"),
            ConnectionAddr::Unix(path) => write!(f, "redis+unix://{}", path.display()),
            // The crate may add kinds of addresses.
            _ => f.write_str("redis"),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("the server can't be reached")]
    Io(#[from] std::io::Error),
    #[error("the server's name can't have a certificate")]
    Name(#[from] InvalidDnsNameError),
    #[error("the server refused the connection")]
    Redis(#[from] RedisError),
    #[error("the server did not answer within {CONNECT_TIMEOUT:?}")]
    Timeout,
}

impl Server {
    /// What is wrong with an address, in words that don't repeat it: it may have a password.
    pub(super) fn parse(address: &str) -> Result<Self, &'static str> {
        let info = address
            .into_connection_info()
            .map_err(|_| "is not an address such as `redis://host:6379`")?;
        // What is pushed to a connection of the newer protocol is not understood by a subscription.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
        let info = info.set_redis_settings(settings);
        match info.addr() {
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                Err("asks for TLS without checking the certificate, which this host does not do")
            }
            _ => Ok(Self {
                address: Secret::new(address),
                info,
            }),
        }
    }

    /// Connects, with as much authentication as the address has. `gate` bounds what is read ahead.
    pub(super) async fn connect(&self, gate: &Arc<Gate>) -> Result<PubSub, ConnectError> {
        let connecting = async {
            let settings = self.info.redis_settings();
            Ok(match self.info.addr() {
                ConnectionAddr::Tcp(host, port) => {
                    let stream = connect_tcp(host, *port).await?;
                    PubSub::new(settings, Gated::new(stream, gate)).await?
                }
                ConnectionAddr::TcpTls { host, port, .. } => {
                    let name = ServerName::try_from(host.clone())?;
                    let stream = connect_tcp(host, *port).await?;
                    let connector = TlsConnector::from(tls_client_config());
                    let stream = connector.connect(name, stream).await?;
                    PubSub::new(settings, Gated::new(stream, gate)).await?
                }
                ConnectionAddr::Unix(path) => {
                    let stream = UnixStream::connect(path).await?;
                    PubSub::new(settings, Gated::new(stream, gate)).await?
                }
                _ => return Err(std::io::Error::from(std::io::ErrorKind::Unsupported).into()),
            })
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .unwrap_or(Err(ConnectError::Timeout))
    }
}

async fn connect_tcp(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await?;
    let keep_alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE_TIME)
        .with_interval(KEEP_ALIVE_INTERVAL)
        .with_retries(KEEP_ALIVE_PROBES);
    SockRef::from(&stream).set_tcp_keepalive(&keep_alive)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_shown_without_its_password() {
        let server = Server::parse("redis://user:hush@example.com/2").unwrap();
        assert_eq!(server.to_string(), "redis://example.com:6379");
        assert!(!format!("{server:?}").contains("hush"));
        assert_eq!(
            Server::parse("rediss://example.com:7000").unwrap().to_string(),
            "rediss://example.com:7000"
        );
        assert_eq!(
            Server::parse("redis+unix:///run/redis.sock").unwrap().to_string(),
            "redis+unix:///run/redis.sock"
        );
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for address in [
            "",
            "example.com",
            "http://user:hush@example.com",
            "rediss://h:1/#insecure",
        ] {
            let what = Server::parse(address).unwrap_err();
            assert!(!what.contains("hush"), "{what}");
        }
    }
}

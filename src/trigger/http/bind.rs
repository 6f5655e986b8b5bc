//! Addresses, and the sockets that are opened there.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::accept::Accepting;
use crate::net::{SocketFile, keep_alive};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 4096;

/// Where an app is served.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ListenAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why an address can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}{}", remedy(.source))]
pub struct BindError {
    pub address: ListenAddress,
    pub source: std::io::Error,
}

impl BindError {
    /// Whether something else has the address, so that it may become free.
    pub fn is_in_use(&self) -> bool {
        self.source.kind() == std::io::ErrorKind::AddrInUse
    }
}

fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => ": another process has it; stop that one, or choose another address",
        std::io::ErrorKind::PermissionDenied => ": ports below 1024 and some directories need a privilege",
        std::io::ErrorKind::AddrNotAvailable => ": no interface of this machine has that address",
        _ => "",
    }
}

/// Opens the socket; gives its real address.
pub(super) fn bind(address: &ListenAddress) -> std::io::Result<(ListenAddress, Accepting)> {
    Ok(match address {
        ListenAddress::Tcp(address) => {
            let socket = bind_tcp(*address)?;
            (ListenAddress::Tcp(socket.local_addr()?), Accepting::Tcp(socket))
        }
        ListenAddress::Unix(path) => {
            let socket = UnixListener::bind(path)?;
            let accepting = Accepting::Unix {
                file: Some(SocketFile::of(path)),
                socket,
            };
            (address.clone(), accepting)
        }
    })
}

fn bind_tcp(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted daemon must get its port back while old connections linger.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    keep_alive(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

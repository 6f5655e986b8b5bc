//! Sockets that already listen.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use rustix::net::AddressFamily;
use rustix::net::sockopt::socket_domain;
use socket2::{SockRef, TcpKeepalive};

/// How long a client may be silent before the kernel asks whether its machine is still there: a guest that waits with
/// its response would otherwise never learn that it is not.
const KEEP_ALIVE_TIME: Duration = Duration::from_secs(60);

/// Has the kernel look whether silent clients are still there. Connections inherit it.
pub(crate) fn keep_alive(socket: &impl AsFd) -> io::Result<()> {
    SockRef::from(socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE_TIME))
}

/// A socket that listens, and that nobody accepts from yet.
#[derive(Debug)]
pub enum ListeningSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl ListeningSocket {
    /// A second handle to the same socket.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(socket) => socket.try_clone().map(Self::Tcp),
            Self::Unix(socket) => socket.try_clone().map(Self::Unix),
        }
    }
}

impl TryFrom<OwnedFd> for ListeningSocket {
    type Error = io::Error;

    /// # Errors
    /// It is no socket, or one of another kind.
    fn try_from(descriptor: OwnedFd) -> io::Result<Self> {
        match socket_domain(&descriptor)? {
            AddressFamily::INET | AddressFamily::INET6 => Ok(Self::Tcp(descriptor.into())),
            AddressFamily::UNIX => Ok(Self::Unix(descriptor.into())),
            _ => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }
}

impl AsFd for ListeningSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

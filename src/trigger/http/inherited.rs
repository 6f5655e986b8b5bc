//! Sockets that listened before this process did: a service manager's, or those of the process that it takes over from.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use super::accept::Accepting;
use super::app::HttpApp;
use super::bind::ListenAddress;
use crate::net::{ListeningSocket, SocketFile, keep_alive};

/// What a listener is found by. An app on port 0 has a socket of its own, which it keeps over its versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Key {
    Address(ListenAddress),
    AnyPort { of: Arc<str>, address: SocketAddr },
}

impl Key {
    pub(super) fn of(address: &ListenAddress, app: &HttpApp) -> Self {
        match address {
            ListenAddress::Tcp(tcp) if tcp.port() == 0 => Self::AnyPort {
                of: app.id().into(),
                address: *tcp,
            },
            other => Self::Address(other.clone()),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::AnyPort { of, address } => write!(f, "{address} of {of}"),
        }
    }
}

/// Sockets that wait for an app with their address.
#[derive(Debug)]
pub struct Inherited {
    sockets: Mutex<HashMap<Key, Socket>>,
    /// Cancelled when clients may be met: until then, the process before this one meets them.
    open: CancellationToken,
}

/// One of them.
#[derive(Debug)]
struct Socket {
    socket: ListeningSocket,
    /// It is a service manager's, which has it open as well: nobody else could open its address, so that a handle is kept
    /// for the next app that has it.
    lasting: bool,
    /// An app is to take it, as it had it before.
    awaited: bool,
    /// An app has, or had, it.
    taken: bool,
}

/// What is known of a socket that one process hands to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    pub key: Key,
    pub lasting: bool,
    /// It serves an app.
    pub serves: bool,
}

impl Inherited {
    /// A service manager's.
    ///
    /// # Errors
    /// The address of one can't be told.
    pub fn of_service(sockets: Vec<ListeningSocket>) -> io::Result<Self> {
        let socket = |socket| {
            let kept = Socket {
                lasting: true,
                awaited: false,
                taken: false,
                socket,
            };
            Ok((Key::Address(address_of(&kept.socket)?), kept))
        };
        let sockets = sockets.into_iter().map(socket).collect::<io::Result<_>>()?;
        let inherited = Self {
            sockets: Mutex::new(sockets),
            open: CancellationToken::new(),
        };
        inherited.open();
        Ok(inherited)
    }

    /// Those of the process before this one, which goes on accepting until [`open`](Self::open).
    pub fn handed_over(sockets: Vec<(Handed, ListeningSocket)>) -> Self {
        let sockets = sockets.into_iter().map(|(handed, socket)| {
            let kept = Socket {
                socket,
                lasting: handed.lasting,
                awaited: handed.serves,
                taken: false,
            };
            (handed.key, kept)
        });
        Self {
            sockets: Mutex::new(sockets.collect()),
            open: CancellationToken::new(),
        }
    }

    /// From now on this process accepts.
    pub fn open(&self) {
        self.open.cancel();
    }

    /// Cancelled when this process accepts.
    pub(super) fn opening(&self) -> &CancellationToken {
        &self.open
    }

    /// Those that no app has taken yet.
    pub fn unused(&self) -> Vec<Key> {
        let sockets = self.lock();
        let unused = sockets.iter().filter(|(_, socket)| !socket.taken);
        unused.map(|(key, _)| key.clone()).collect()
    }

    /// Those that served an app, and that no app has taken yet.
    pub fn awaited(&self) -> Vec<Key> {
        let sockets = self.lock();
        let awaited = sockets.iter().filter(|(_, socket)| socket.awaited);
        awaited.map(|(key, _)| key.clone()).collect()
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    pub(super) fn is_lasting(&self, key: &Key) -> bool {
        self.lock().get(key).is_some_and(|socket| socket.lasting)
    }

    /// Handles to those of the service manager, for the next process.
    pub(super) fn lasting(&self) -> Vec<(Key, io::Result<ListeningSocket>)> {
        let sockets = self.lock();
        let lasting = sockets.iter().filter(|(_, socket)| socket.lasting);
        lasting
            .map(|(key, socket)| (key.clone(), socket.socket.try_clone()))
            .collect()
    }

    /// The socket for an address, if there is one; with its real address.
    pub(super) fn take(&self, key: &Key) -> io::Result<Option<(ListenAddress, Accepting)>> {
        let mut sockets = self.lock();
        let Some(found) = sockets.get_mut(key) else {
            return Ok(None);
        };
        found.awaited = false;
        found.taken = true;
        let lasting = found.lasting;
        let socket = match lasting {
            true => found.socket.try_clone()?,
            false => match sockets.remove(key) {
                Some(found) => found.socket,
                None => return Ok(None),
            },
        };
        let address = address_of(&socket)?;
        let accepting = match socket {
            ListeningSocket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                keep_alive(&socket)?;
                Accepting::Tcp(TcpListener::from_std(socket)?)
            }
            ListeningSocket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                let file = match &address {
                    ListenAddress::Unix(path) if !lasting => Some(SocketFile::of(path)),
                    _ => None,
                };
                Accepting::Unix {
                    file,
                    socket: UnixListener::from_std(socket)?,
                }
            }
        };
        Ok(Some((address, accepting)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Socket>> {
        // Nothing panics while the table is held.
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address_of(socket: &ListeningSocket) -> io::Result<ListenAddress> {
    match socket {
        ListeningSocket::Tcp(socket) => socket.local_addr().map(ListenAddress::Tcp),
        ListeningSocket::Unix(socket) => {
            let address = socket.local_addr()?;
            let path = address.as_pathname().map(PathBuf::from);
            let nameless = || io::Error::other("a Unix socket without a file can't be an app's");
            path.map(ListenAddress::Unix).ok_or_else(nameless)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp() -> (ListeningSocket, Key) {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = ListenAddress::Tcp(socket.local_addr().unwrap());
        (ListeningSocket::Tcp(socket), Key::Address(address))
    }

    #[tokio::test]
    async fn a_service_managers_socket_is_there_for_the_next_app_too() {
        let (socket, key) = tcp();
        let inherited = Inherited::of_service(vec![socket]).unwrap();
        assert_eq!(inherited.unused(), std::slice::from_ref(&key));
        let (address, accepting) = inherited.take(&key).unwrap().unwrap();
        assert_eq!(Key::Address(address), key);
        assert!(inherited.unused().is_empty());
        drop(accepting);
        assert!(inherited.take(&key).unwrap().is_some());
    }

    #[tokio::test]
    async fn a_socket_of_the_process_before_is_taken_once() {
        let (socket, key) = tcp();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let unix_key = Key::Address(ListenAddress::Unix(path.clone()));
        let handed = |key: &Key, serves| Handed {
            key: key.clone(),
            lasting: false,
            serves,
        };
        let inherited = Inherited::handed_over(vec![
            (handed(&key, true), socket),
            (handed(&unix_key, true), ListeningSocket::Unix(unix)),
        ]);
        assert_eq!(inherited.awaited().len(), 2);
        assert!(inherited.take(&key).unwrap().is_some());
        assert!(inherited.take(&key).unwrap().is_none());
        assert_eq!(inherited.awaited(), std::slice::from_ref(&unix_key));
        // The file is this process's now.
        drop(inherited.take(&unix_key).unwrap().unwrap());
        assert!(!path.exists());
    }
}

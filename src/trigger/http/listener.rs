//! Listening sockets. A listener belongs to its address; apps are put behind it and taken away.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use super::accept::{self, Accepting};
use super::app::HttpApp;
use crate::net::{SocketFile, remove_stale_socket};
use crate::tasks;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 4096;
/// How long a client may be silent before the kernel asks whether its machine is still there: a guest that waits with
/// its response would otherwise never learn that it is not.
const KEEP_ALIVE_TIME: Duration = Duration::from_secs(60);

/// Where an app is served.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

/// All listeners of the process. A cheap handle.
#[derive(Clone, Default)]
pub struct Listeners {
    open: Arc<Mutex<HashMap<Key, Arc<Listener>>>>,
}

/// What a listener is found by. An app on port 0 has a socket of its own, which it keeps over its versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(ListenAddress),
    AnyPort { of: Arc<str>, address: SocketAddr },
}

/// One open socket, and the app behind it.
pub(super) struct Listener {
    /// The real address, with the port that the kernel chose.
    pub(super) address: ListenAddress,
    pub(super) app: ArcSwapOption<HttpApp>,
    close: CancellationToken,
    abort: CancellationToken,
}

impl Listeners {
    /// Puts `app` behind the listener of `address`, which is opened when it is not there yet. What was behind it gets no
    /// more requests; what it has in flight goes on.
    pub async fn attach(&self, address: &ListenAddress, app: &Arc<HttpApp>) -> Result<Attached, BindError> {
        let key = match address {
            ListenAddress::Tcp(tcp) if tcp.port() == 0 => Key::AnyPort {
                of: app.id().into(),
                address: *tcp,
            },
            other => Key::Address(other.clone()),
        };
        let error = |source| BindError {
            address: address.clone(),
            source,
        };
        if let ListenAddress::Unix(path) = address
            && !self.lock().contains_key(&key)
        {
            remove_stale_socket(path).await.map_err(error)?;
        }
        let mut open = self.lock();
        let (listener, socket) = match open.get(&key) {
            Some(listener) => (listener.clone(), None),
            None => {
                let (listener, socket) = bind(address).map_err(error)?;
                open.insert(key.clone(), listener.clone());
                (listener, Some(socket))
            }
        };
        app.served_at(&listener.address);
        listener.app.store(Some(app.clone()));
        drop(open);
        // After the app is in its place: the first client may be there already.
        if let Some(socket) = socket {
            let (close, abort) = (listener.close.clone(), listener.abort.clone());
            tasks::spawn("listener", accept::run(socket, listener.clone(), close, abort));
        }
        Ok(Attached {
            listeners: self.clone(),
            key,
            listener,
            app: app.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Listener>>> {
        // Nothing panics while the table is held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An app behind a listener.
pub struct Attached {
    listeners: Listeners,
    key: Key,
    listener: Arc<Listener>,
    app: Arc<HttpApp>,
}

impl Attached {
    /// The real address.
    pub fn address(&self) -> &ListenAddress {
        &self.listener.address
    }

    /// Takes the app away. When nothing else has been put in its place, the socket is closed, and its connections as soon
    /// as they have no request.
    pub fn detach(&self) {
        let mut open = self.listeners.lock();
        let ours = self
            .listener
            .app
            .load()
            .as_ref()
            .is_some_and(|app| Arc::ptr_eq(app, &self.app));
        if ours {
            open.remove(&self.key);
            self.listener.close.cancel();
        }
    }

    /// Ends the connections of a closed listener, whatever they are doing.
    pub fn abort_connections(&self) {
        if self.listener.close.is_cancelled() {
            self.listener.abort.cancel();
        }
    }
}

impl Listener {
    /// One that no app is behind.
    pub(super) fn of(address: ListenAddress) -> Arc<Self> {
        Arc::new(Self {
            address,
            app: ArcSwapOption::empty(),
            close: CancellationToken::new(),
            abort: CancellationToken::new(),
        })
    }
}

/// Opens the socket.
fn bind(address: &ListenAddress) -> std::io::Result<(Arc<Listener>, Accepting)> {
    Ok(match address {
        ListenAddress::Tcp(address) => {
            let socket = bind_tcp(*address)?;
            (
                Listener::of(ListenAddress::Tcp(socket.local_addr()?)),
                Accepting::Tcp(socket),
            )
        }
        ListenAddress::Unix(path) => {
            let socket = UnixListener::bind(path)?;
            (
                Listener::of(address.clone()),
                Accepting::Unix {
                    _file: SocketFile::of(path),
                    socket,
                },
            )
        }
    })
}

fn bind_tcp(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted daemon must get its port back while old connections linger.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Connections inherit it.
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE_TIME))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

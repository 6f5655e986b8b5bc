//! Listening sockets. A listener belongs to its address; apps are put at places behind it and taken away.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use super::accept::{self, Accepting};
use super::access_log::AccessLog;
use super::app::HttpApp;
use super::connections::Connections;
use super::settings::HttpSettings;
use super::sites::Sites;
use crate::net::{Site, SocketFile, remove_stale_socket};
use crate::tasks::{self, Ending};

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
#[derive(Clone)]
pub struct Listeners {
    open: Arc<Mutex<HashMap<Key, Arc<Listener>>>>,
    /// Whoever opens a Unix socket.
    opening_unix: Arc<tokio::sync::Mutex<()>>,
    shared: Arc<Shared>,
    /// Cancelled when the process is to end, and all apps with it.
    ending: CancellationToken,
}

/// What all listeners have in common.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) settings: HttpSettings,
    pub(super) access_log: Option<AccessLog>,
    /// Cancelled when balancers are to see that the process will end.
    pub(super) lame_duck: CancellationToken,
}

/// What a listener is found by. An app on port 0 has a socket of its own, which it keeps over its versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(ListenAddress),
    AnyPort { of: Arc<str>, address: SocketAddr },
}

/// One open socket, and the apps behind it.
pub(super) struct Listener {
    /// The real address, with the port that the kernel chose.
    pub(super) address: ListenAddress,
    pub(super) shared: Arc<Shared>,
    pub(super) connections: Arc<Connections>,
    /// Held for a look or a change, and never across an await.
    sites: RwLock<Sites<Arc<Place>>>,
    /// Apps that have been put behind it and have not ended: their last requests may still be in flight.
    apps: AtomicUsize,
    close: CancellationToken,
    abort: CancellationToken,
}

/// One app behind a listener, and where.
pub(super) struct Place {
    pub(super) app: Arc<HttpApp>,
    pub(super) site: Site,
}

impl Listeners {
    /// None is open yet. `ending` drains when the process is to end, before any app is stopped.
    pub fn new(settings: HttpSettings, access_log: Option<AccessLog>, ending: &Ending) -> Self {
        let shared = Shared {
            settings,
            access_log,
            lame_duck: ending.lame_duck().clone(),
        };
        Self {
            open: Arc::default(),
            opening_unix: Arc::default(),
            shared: shared.into(),
            ending: ending.drain().clone(),
        }
    }

    /// Puts `app` at `site` behind the listener of `address`, which is opened when it is not there yet. What was at the same
    /// hosts and paths gets no more requests there; what it has in flight goes on. Nothing else behind the listener notices.
    pub async fn attach(
        &self,
        address: &ListenAddress,
        site: &Site,
        app: &Arc<HttpApp>,
    ) -> Result<Attached, BindError> {
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
        // Held until the socket listens: between its making and that, another app's look takes it for a stale one.
        let _alone = match address {
            ListenAddress::Unix(path) => {
                let alone = self.opening_unix.lock().await;
                if !self.lock().contains_key(&key) {
                    remove_stale_socket(path).await.map_err(error)?;
                }
                Some(alone)
            }
            ListenAddress::Tcp(_) => None,
        };
        let mut open = self.lock();
        let (listener, socket) = match open.get(&key) {
            Some(listener) => (listener.clone(), None),
            None => {
                let (listener, socket) = bind(address, &self.shared).map_err(error)?;
                open.insert(key.clone(), listener.clone());
                (listener, Some(socket))
            }
        };
        app.served_at(&listener.address);
        let place = Arc::new(Place {
            app: app.clone(),
            site: site.clone(),
        });
        listener.apps.fetch_add(1, Ordering::Relaxed);
        let mut sites = listener.sites_mut();
        for location in site.locations() {
            sites.put(&location, place.clone());
        }
        drop(sites);
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
            place,
            ended: AtomicBool::new(false),
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
    place: Arc<Place>,
    ended: AtomicBool,
}

impl Attached {
    /// The real address.
    pub fn address(&self) -> &ListenAddress {
        &self.listener.address
    }

    /// Takes the app away from where nothing else has been put in its place. When nothing at all is left behind the listener,
    /// the socket is closed, and its connections as soon as they have no request.
    ///
    /// When the process ends, an app stays where it is: a request for it is not one for the less specific app, which has an
    /// instant more.
    pub fn detach(&self) {
        let mut open = self.listeners.lock();
        let mut sites = self.listener.sites_mut();
        let nothing_left = if self.listeners.ending.is_cancelled() {
            sites.all(|place| place.app.is_going())
        } else {
            for location in self.place.site.locations() {
                if sites
                    .get(&location)
                    .is_some_and(|place| Arc::ptr_eq(place, &self.place))
                {
                    sites.take(&location);
                }
            }
            sites.is_empty()
        };
        if nothing_left && !self.listener.is_closing() {
            open.remove(&self.key);
            self.listener.close.cancel();
        }
    }

    /// The app has nothing in flight that it waits for. When the listener is closed, and the others that were behind it are as
    /// far, its connections end, whatever they are doing.
    pub fn end(&self) {
        let ended_before = self.ended.swap(true, Ordering::Relaxed);
        let last = !ended_before && self.listener.apps.fetch_sub(1, Ordering::AcqRel) == 1;
        if last && self.listener.is_closing() {
            self.listener.abort.cancel();
        }
    }
}

impl Drop for Attached {
    /// Also when the task that holds it is aborted.
    fn drop(&mut self) {
        self.end();
    }
}

impl Listener {
    /// One that no app is behind.
    pub(super) fn of(address: ListenAddress, shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            address,
            shared: shared.clone(),
            connections: Arc::default(),
            sites: RwLock::default(),
            apps: AtomicUsize::new(0),
            close: CancellationToken::new(),
            abort: CancellationToken::new(),
        })
    }

    /// Whether the last app has gone.
    pub(super) fn is_closing(&self) -> bool {
        self.close.is_cancelled()
    }

    /// Which app answers for a host and a path now.
    pub(super) fn find(&self, host: Option<&str>, path: &str) -> Option<Arc<Place>> {
        self.sites().find(host, path).cloned()
    }

    fn sites(&self) -> RwLockReadGuard<'_, Sites<Arc<Place>>> {
        // Nothing panics while the table is held.
        self.sites.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn sites_mut(&self) -> RwLockWriteGuard<'_, Sites<Arc<Place>>> {
        self.sites.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the socket.
fn bind(address: &ListenAddress, shared: &Arc<Shared>) -> std::io::Result<(Arc<Listener>, Accepting)> {
    Ok(match address {
        ListenAddress::Tcp(address) => {
            let socket = bind_tcp(*address)?;
            (
                Listener::of(ListenAddress::Tcp(socket.local_addr()?), shared),
                Accepting::Tcp(socket),
            )
        }
        ListenAddress::Unix(path) => {
            let socket = UnixListener::bind(path)?;
            (
                Listener::of(address.clone(), shared),
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

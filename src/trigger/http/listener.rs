//! Listening sockets. A listener belongs to its address; apps are put at places behind it and taken away.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accept::{self, Accepting};
use super::access_log::AccessLog;
use super::app::HttpApp;
use super::bind::{BindError, ListenAddress, bind};
use super::connections::Connections;
use super::inherited::{Handed, Inherited, Key};
use super::settings::HttpSettings;
use super::sites::Sites;
use super::tls::{Acme, AppTls, Challenges, EndpointTls, HTTPS_PORT, Handshakes, Names};
use crate::net::{ListeningSocket, Site, remove_stale_socket};
use crate::tasks::{self, Ending};

/// All listeners of the process. A cheap handle.
#[derive(Clone)]
pub struct Listeners {
    open: Arc<Mutex<HashMap<Key, Arc<Listener>>>>,
    /// Whoever opens a Unix socket.
    opening_unix: Arc<tokio::sync::Mutex<()>>,
    /// Sockets that were open before.
    inherited: Arc<Inherited>,
    shared: Arc<Shared>,
    /// Cancelled when the process is to end, and all apps with it.
    ending: CancellationToken,
}

/// What all listeners have in common.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) settings: HttpSettings,
    /// What authorities are answered that look whether a name is ours.
    pub(super) challenges: Arc<Challenges>,
    pub(super) access_log: Option<AccessLog>,
    /// Cancelled when balancers are to see that the process will end.
    pub(super) lame_duck: CancellationToken,
    /// Cancelled when clients may be met.
    pub(super) opening: CancellationToken,
    /// Cancelled when another process accepts in place of this one.
    pub(super) retiring: CancellationToken,
    /// One for each listener, until its connections have ended.
    pub(super) accepting: TaskTracker,
}

/// One open socket, and the apps behind it.
pub(super) struct Listener {
    /// The real address, with the port that the kernel chose.
    pub(super) address: ListenAddress,
    pub(super) shared: Arc<Shared>,
    /// Its socket, while it accepts.
    socket: OnceLock<Weak<Accepting>>,
    pub(super) connections: Arc<Connections>,
    pub(super) handshakes: Handshakes,
    /// Held for a look or a change, and never across an await.
    sites: RwLock<Sites<Arc<Place>>>,
    /// Whose certificate is for which host; empty where TLS is not spoken. Held as `sites` is, and after it.
    names: RwLock<Names>,
    /// Apps that have been put behind it and have not ended: their last requests may still be in flight.
    apps: AtomicUsize,
    close: CancellationToken,
    abort: CancellationToken,
}

/// One app behind a listener, and where.
pub(super) struct Place {
    pub(super) app: Arc<HttpApp>,
    pub(super) site: Site,
    pub(super) role: Role,
}

/// What becomes of a request.
pub(super) enum Role {
    /// The app answers, to whoever was met as it asks.
    Serve { tls: Option<Arc<AppTls>> },
    /// The client is sent on to https, at this port.
    Redirect { port: u16 },
}

impl Listeners {
    /// None accepts yet; those of `inherited` are used for their addresses. `ending` drains when the process is to end, before any app is stopped.
    pub fn new(
        settings: HttpSettings,
        access_log: Option<AccessLog>,
        acme: &Acme,
        inherited: Arc<Inherited>,
        ending: &Ending,
    ) -> Self {
        let shared = Shared {
            settings,
            access_log,
            challenges: acme.challenges().clone(),
            lame_duck: ending.lame_duck().clone(),
            opening: inherited.opening().clone(),
            ..Shared::default()
        };
        Self {
            open: Arc::default(),
            opening_unix: Arc::default(),
            inherited,
            shared: shared.into(),
            ending: ending.drain().clone(),
        }
    }

    /// Puts `app` at `site` behind the listener of `address`, which is opened when it is not there yet, and has it sent on to
    /// there from another one, if `tls` says so. What was at the same hosts and paths gets no more requests there; what it has
    /// in flight goes on. Nothing else behind the listener notices. After an error, all is as before.
    pub async fn attach(
        &self,
        address: &ListenAddress,
        site: &Site,
        app: &Arc<HttpApp>,
        tls: Option<&EndpointTls>,
    ) -> Result<Attached, BindError> {
        let key = Key::of(address, app);
        // Held until the socket listens: between its making and that, another app's look takes it for a stale one.
        let _alone = match address {
            ListenAddress::Unix(path) => {
                let alone = self.opening_unix.lock().await;
                if !self.lock().contains_key(&key) && !self.inherited.contains(&key) {
                    let error = |source| BindError {
                        address: address.clone(),
                        source,
                    };
                    remove_stale_socket(path).await.map_err(error)?;
                }
                Some(alone)
            }
            ListenAddress::Tcp(_) => None,
        };
        let mut open = self.lock();
        let main = self.door(&open, key, address)?;
        let from = tls.and_then(|tls| tls.redirect_from.as_ref());
        let from = match from {
            Some(from) => Some(self.door(&open, Key::of(from, app), from)?),
            None => None,
        };
        app.served_at(&main.listener.address);
        let port = main.listener.port();
        let role = Role::Serve {
            tls: tls.map(|tls| tls.app.clone()),
        };
        let main = main.put(&mut open, app, site, role);
        if let Some(tls) = tls {
            main.listener.names_mut().put(site, main.token(), tls);
        }
        let from = from.map(|from| from.put(&mut open, app, site, Role::Redirect { port }));
        drop(open);
        // After the app is in its place: the first client may be there already.
        let mut attached = Attached {
            listeners: self.clone(),
            main,
            from,
        };
        attached.main.accept();
        attached.from.iter_mut().for_each(Behind::accept);
        Ok(attached)
    }

    /// The listener of an address, or a new one, which nobody else knows yet.
    fn door(
        &self,
        open: &HashMap<Key, Arc<Listener>>,
        key: Key,
        address: &ListenAddress,
    ) -> Result<Door, BindError> {
        let (listener, socket) = match open.get(&key) {
            Some(listener) => (listener.clone(), None),
            None => {
                let error = |source| BindError {
                    address: address.clone(),
                    source,
                };
                let (address, socket) = match self.inherited.take(&key).map_err(error)? {
                    Some(open) => open,
                    None => bind(address).map_err(error)?,
                };
                let listener = Listener::of(address, &self.shared);
                let socket = Arc::new(socket);
                // Nobody else knows it yet.
                let _ = listener.socket.set(Arc::downgrade(&socket));
                (listener, Some(socket))
            }
        };
        Ok(Door {
            key,
            listener,
            socket,
        })
    }

    /// Whether the socket of an address is open, or was when the process started.
    pub fn has(&self, address: &ListenAddress) -> bool {
        let key = Key::Address(address.clone());
        self.inherited.contains(&key) || self.lock().contains_key(&key)
    }

    /// Every socket that another process needs to go on in place of this one. They stay open for as long as they are held.
    ///
    /// # Errors
    /// There are not enough descriptors.
    pub fn hand_over(&self) -> std::io::Result<Vec<(Handed, OpenSocket)>> {
        let open = self.lock();
        let mut sockets = Vec::new();
        for (key, listener) in open.iter() {
            let Some(socket) = listener.socket.get().and_then(Weak::upgrade) else {
                continue;
            };
            let handed = Handed {
                key: key.clone(),
                lasting: self.inherited.is_lasting(key),
                serves: true,
            };
            sockets.push((handed, OpenSocket(Open::Serves(socket))));
        }
        for (key, socket) in self.inherited.lasting() {
            if !open.contains_key(&key) {
                let handed = Handed {
                    key,
                    lasting: true,
                    serves: false,
                };
                sockets.push((handed, OpenSocket(Open::Waits(socket?))));
            }
        }
        Ok(sockets)
    }

    /// Accepts no more, since another process does. Each connection gets one more answer, which says that it ends; those without
    /// a request for a while are closed. Waits until all have ended, or for as long as `patience`.
    pub async fn retire(&self, patience: Duration) {
        self.shared.retiring.cancel();
        self.shared.accepting.close();
        // Whoever is left has a request in flight, which its app waits for.
        let _ = tokio::time::timeout(patience, self.shared.accepting.wait()).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Listener>>> {
        // Nothing panics while the table is held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that another process is to have, too.
pub struct OpenSocket(Open);

enum Open {
    /// It accepts for apps.
    Serves(Arc<Accepting>),
    /// No app has its address now.
    Waits(ListeningSocket),
}

impl OpenSocket {
    /// The other process goes on with it: what belongs to it is not to be removed by this one.
    pub fn leave(&self) {
        if let Open::Serves(socket) = &self.0 {
            socket.leave_file();
        }
    }
}

impl AsFd for OpenSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Open::Serves(socket) => socket.as_fd(),
            Open::Waits(socket) => socket.as_fd(),
        }
    }
}

/// A listener, and its socket if it is new.
struct Door {
    key: Key,
    listener: Arc<Listener>,
    socket: Option<Arc<Accepting>>,
}

impl Door {
    fn put(
        self,
        open: &mut HashMap<Key, Arc<Listener>>,
        app: &Arc<HttpApp>,
        site: &Site,
        role: Role,
    ) -> Behind {
        let Self {
            key,
            listener,
            socket,
        } = self;
        open.entry(key.clone()).or_insert_with(|| listener.clone());
        let place = Arc::new(Place {
            app: app.clone(),
            site: site.clone(),
            role,
        });
        listener.apps.fetch_add(1, Ordering::Relaxed);
        let mut sites = listener.sites_mut();
        for location in site.locations() {
            sites.put(&location, place.clone());
        }
        drop(sites);
        Behind {
            key,
            listener,
            place,
            socket,
            ended: AtomicBool::new(false),
        }
    }
}

/// An app behind the listener of its address, and behind the one that it is sent on from.
pub struct Attached {
    listeners: Listeners,
    main: Behind,
    from: Option<Behind>,
}

/// An app behind one listener.
struct Behind {
    key: Key,
    listener: Arc<Listener>,
    place: Arc<Place>,
    /// A new listener's, until it accepts.
    socket: Option<Arc<Accepting>>,
    ended: AtomicBool,
}

impl Attached {
    /// The real address.
    pub fn address(&self) -> &ListenAddress {
        &self.main.listener.address
    }

    /// Takes the app away from where nothing else has been put in its place. When nothing at all is left behind the listener,
    /// the socket is closed, and its connections as soon as they have no request.
    ///
    /// When the process ends, an app stays where it is: a request for it is not one for the less specific app, which has an
    /// instant more.
    pub fn detach(&self) {
        let mut open = self.listeners.lock();
        let ending = self.listeners.ending.is_cancelled();
        for behind in self.all() {
            behind.detach(&mut open, ending);
        }
    }

    /// The app has nothing in flight that it waits for. When a listener is closed, and the others that were behind it are as
    /// far, its connections end, whatever they are doing.
    pub fn end(&self) {
        self.all().for_each(Behind::end);
    }

    fn all(&self) -> impl Iterator<Item = &Behind> {
        std::iter::once(&self.main).chain(&self.from)
    }
}

impl Drop for Attached {
    /// Also when the task that holds it is aborted.
    fn drop(&mut self) {
        self.detach();
        self.end();
    }
}

impl Behind {
    fn accept(&mut self) {
        if let Some(socket) = self.socket.take() {
            let listener = self.listener.clone();
            let (close, abort) = (listener.close.clone(), listener.abort.clone());
            let accepting = listener.shared.accepting.clone();
            let run = accept::run(socket, listener, close, abort);
            tasks::spawn("listener", accepting.track_future(run));
        }
    }

    /// Tells places apart for as long as they are there.
    fn token(&self) -> usize {
        Arc::as_ptr(&self.place).addr()
    }

    fn detach(&self, open: &mut HashMap<Key, Arc<Listener>>, ending: bool) {
        let mut sites = self.listener.sites_mut();
        let nothing_left = if ending {
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
            self.listener.names_mut().take(&self.place.site, self.token());
            sites.is_empty()
        };
        if nothing_left && !self.listener.is_closing() {
            open.remove(&self.key);
            self.listener.close.cancel();
        }
    }

    fn end(&self) {
        let ended_before = self.ended.swap(true, Ordering::Relaxed);
        let last = !ended_before && self.listener.apps.fetch_sub(1, Ordering::AcqRel) == 1;
        if last && self.listener.is_closing() {
            self.listener.abort.cancel();
        }
    }
}

impl Listener {
    /// One that no app is behind.
    pub(super) fn of(address: ListenAddress, shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            address,
            shared: shared.clone(),
            socket: OnceLock::new(),
            connections: Arc::default(),
            handshakes: Handshakes::default(),
            sites: RwLock::default(),
            names: RwLock::default(),
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

    /// Whether clients are met with TLS.
    pub(super) fn is_secure(&self) -> bool {
        !self.names().is_empty()
    }

    /// Whose certificate is for a name, in lower case. A client that names none means the address that it came to.
    pub(super) fn find_tls(&self, name: Option<&str>) -> Option<Arc<AppTls>> {
        let own = match (name, &self.address) {
            (None, ListenAddress::Tcp(SocketAddr::V4(own))) => Some(own.ip().to_string()),
            (None, ListenAddress::Tcp(SocketAddr::V6(own))) => Some(format!("[{}]", own.ip())),
            _ => None,
        };
        self.names().find(name.or(own.as_deref()))
    }

    /// Where https goes; the usual port where the socket has none.
    fn port(&self) -> u16 {
        match &self.address {
            ListenAddress::Tcp(address) => address.port(),
            ListenAddress::Unix(_) => HTTPS_PORT,
        }
    }

    fn names(&self) -> RwLockReadGuard<'_, Names> {
        // Nothing panics while the table is held.
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn names_mut(&self) -> RwLockWriteGuard<'_, Names> {
        self.names.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn sites(&self) -> RwLockReadGuard<'_, Sites<Arc<Place>>> {
        // Nothing panics while the table is held.
        self.sites.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn sites_mut(&self) -> RwLockWriteGuard<'_, Sites<Arc<Place>>> {
        self.sites.write().unwrap_or_else(PoisonError::into_inner)
    }
}

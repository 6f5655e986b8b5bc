//! What is served, and where: all to the daemon's user on the Unix socket, and to others at an address.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

use axum::middleware::{from_fn, from_fn_with_state};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::address::{AddressError, AddressSettings, OpenAddress};
use super::api::{Api, Sources};
use super::door::{Door, Listening};
use super::guard::{self, Guard};
use super::routes::Routes;
use super::socket::{self, SocketError};
use super::{login, origin, readiness};
use crate::net::{CertificateFiles, ListeningSocket, SocketFile};
use crate::tasks;

/// Why the admin API can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// The admin API while it is served.
pub struct AdminServer {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    open: Vec<OpenSocket>,
}

/// Sockets that the process before this one had open.
#[derive(Debug, Default)]
pub struct AdminSockets {
    /// The Unix socket of the daemon's user.
    pub socket: Option<UnixListener>,
    /// The one for others, and the address that it was asked for.
    pub address: Option<(PathBuf, ListeningSocket)>,
}

/// What another process needs to serve a socket as well.
pub struct OpenSocket {
    /// As the process was told it: the path of the Unix socket, or the address for others.
    pub asked: PathBuf,
    /// Whether it is the one for others.
    pub is_address: bool,
    pub descriptor: OwnedFd,
    file: Option<Arc<SocketFile>>,
}

impl OpenSocket {
    fn of(listening: &Listening, asked: PathBuf, is_address: bool) -> std::io::Result<Self> {
        Ok(Self {
            asked,
            is_address,
            descriptor: listening.second_handle()?,
            file: listening.file(),
        })
    }
}

impl AdminServer {
    /// Ends it, and removes its sockets.
    pub async fn close(self) {
        self.stop.cancel();
        for task in self.tasks {
            // A panic has been logged.
            let _ = task.await;
        }
    }

    /// Ends it; the sockets have another process, too, and stay.
    pub async fn leave(self) {
        let files = self.open.iter().filter_map(|socket| socket.file.as_ref());
        files.for_each(|file| file.leave());
        self.close().await;
    }

    /// What another process needs to serve the same.
    pub fn open(&self) -> &[OpenSocket] {
        &self.open
    }
}

/// Serves the admin API on the Unix socket `path` and, if there is one, at an address, whose certificates are among `files`.
/// Sockets that are open already are used, if they are those that are asked for.
pub async fn serve(
    sources: Sources,
    path: PathBuf,
    address: Option<AddressSettings>,
    inherited: AdminSockets,
    files: &CertificateFiles,
) -> Result<AdminServer, ServeError> {
    let api = Api {
        sources: Arc::new(sources),
        ready: CancellationToken::new(),
    };
    let open_metrics = address.as_ref().is_some_and(|address| address.open_metrics);
    let routes = Routes::new(&api, open_metrics);
    let listener = match inherited.socket {
        Some(open) => socket::adopt(&path, open)?,
        None => socket::listen(&path).await?,
    };
    let mut doors = vec![Door {
        listening: Listening::unix(listener, &path),
        tls: None,
        router: routes.clone().all().layer(from_fn(origin::guard)),
    }];
    let second = |listening: &Listening, asked: PathBuf, is_address| {
        let path = asked.clone();
        OpenSocket::of(listening, asked, is_address).map_err(|source| SocketError::Open { path, source })
    };
    let mut open = vec![second(&doors[0].listening, path.clone(), false)?];
    tracing::info!(socket = %path.display(), "admin socket open");
    if let Some(address) = &address {
        let asked = PathBuf::from(address.address.to_string());
        let there = inherited.address.filter(|(of, _)| *of == asked);
        let OpenAddress {
            listening,
            tls,
            tokens,
        } = OpenAddress::open(address, there.map(|(_, socket)| socket), files).await?;
        open.push(second(&listening, asked, true)?);
        tracing::info!(address = %listening, tls = tls.is_some(), tokens = tokens.is_some(), "admin address open");
        let router = match tokens {
            Some(tokens) => {
                let guard = Guard::new(tokens, tls.is_some());
                let guarded = from_fn_with_state(guard.clone(), guard::guard);
                let guarded = routes.guarded.layer(guarded);
                routes.open.merge(guarded).merge(login::routes(guard))
            }
            None => routes.all(),
        };
        doors.push(Door {
            listening,
            tls,
            router: router.layer(from_fn(origin::guard)),
        });
    }
    let stop = CancellationToken::new();
    let status = api.sources.status.clone();
    tasks::spawn("readiness", readiness::watch(status, api.ready.clone()));
    let serve = |door: Door| tasks::spawn("admin", door.serve(stop.clone()));
    let tasks = doors.into_iter().map(serve).collect();
    Ok(AdminServer { stop, tasks, open })
}

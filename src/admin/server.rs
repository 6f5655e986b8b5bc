//! What is served, and where: all to the daemon's user on the Unix socket, and to others at an address.

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
use crate::net::CertificateFiles;
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
}

/// Serves the admin API on the Unix socket `path` and, if there is one, at an address, whose certificates are among `files`.
pub async fn serve(
    sources: Sources,
    path: PathBuf,
    address: Option<AddressSettings>,
    files: &CertificateFiles,
) -> Result<AdminServer, ServeError> {
    let api = Api {
        sources: Arc::new(sources),
        ready: CancellationToken::new(),
    };
    let open_metrics = address.as_ref().is_some_and(|address| address.open_metrics);
    let routes = Routes::new(&api, open_metrics);
    let listener = socket::listen(&path).await?;
    let mut doors = vec![Door {
        listening: Listening::unix(listener, &path),
        tls: None,
        router: routes.clone().all().layer(from_fn(origin::guard)),
    }];
    tracing::info!(socket = %path.display(), "admin socket open");
    if let Some(address) = &address {
        let OpenAddress {
            listening,
            tls,
            tokens,
        } = OpenAddress::open(address, files).await?;
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
    Ok(AdminServer { stop, tasks })
}

//! The straight pipe from an app file to a running trigger.
//!
//! ```text
//! prepare   Reference ▶ Digest ▶ stored content ▶ LockedApp ▶ LoadedApp      slow, fallible, touches no port
//! activate  Listener(address) + LoadedApp ▶ RunningApp                       fast, atomic
//! ```
//!
//! What requests need of an app that nothing else starts is let go while nobody asks for it; its `blueprint.rs` makes it again.

mod backup;
mod blueprint;
mod check;
mod clients;
mod components;
mod error;
mod pins;
mod pipe;
mod tls;
mod triggers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use blueprint::RecentApps;
pub use check::{LocalProblem, local_problems};
pub use error::LaunchFailure;
pub use pins::Pins;
pub use pipe::PreparedApp;
pub use tls::TlsParts;
pub use triggers::Kinds;

use futures::FutureExt;
use futures::future::BoxFuture;
use pins::Pinned;
use wasmtime_wasi_http::WasiBody;

use crate::control::{
    Backup, LaunchError, Launcher, Passive, Preparation, ResolvedAddress, Run, Running, Version,
};
use crate::host::Host;
use crate::loader::{Loader, Residents};
use crate::logs::GuestLogs;
use crate::manifest::{AppId, AppSpec, Limits};
use crate::metrics::Apps;
use crate::net::HttpClient;
use crate::oci::{OciError, Puller, Resolutions};
use crate::runtime::Runtime;
use crate::runtime_config::RuntimeConfig;
use crate::sandbox::Writable;
use crate::tasks;
use crate::trigger::http::{HttpRun, Listeners};

/// What the status shows for an app that listens to no address.
const NO_ADDRESS: &str = "-";

/// Launches apps. A cheap handle.
#[derive(Clone)]
pub struct AppLauncher {
    parts: Arc<Parts>,
}

/// What apps are launched with, built once.
pub struct Parts {
    pub puller: Puller,
    pub resolutions: Resolutions,
    pub loader: Loader,
    pub runtime: Runtime,
    pub host: Arc<Host>,
    pub client: HttpClient<WasiBody>,
    /// The daemon's, for every app.
    pub runtime_config: RuntimeConfig,
    pub listeners: Listeners,
    pub tls: TlsParts,
    pub kinds: Kinds,
    pub logs: GuestLogs,
    /// Where relative state directories are.
    pub state_root: PathBuf,
    /// Where state directories, databases and sockets can be at all.
    pub writable: Writable,
    /// Whether `SPIN_VARIABLE_*` of the process reach every app.
    pub shared_variables: bool,
    pub pins: Pins,
    /// What an app may use where its file says nothing: the daemon's, over what is built in.
    pub limits: Limits,
    /// Where each app's requests are counted.
    pub metrics: Apps,
    /// Apps that are asked for, and rest when they are not.
    pub resting: Residents,
    pub recent: RecentApps,
}

impl AppLauncher {
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }
}

/// An app that requests alone start, and what it keeps in the store.
struct PassiveApp {
    http: HttpRun,
    pinned: Pinned,
}

impl Passive for PassiveApp {
    fn stop(self: Box<Self>, drain: Duration) -> BoxFuture<'static, ()> {
        let Self { http, pinned } = *self;
        async move {
            http.stop(drain).await;
            drop(pinned);
        }
        .boxed()
    }
}

impl Launcher for AppLauncher {
    type Prepared = PreparedApp;

    async fn prepare(
        &self,
        id: AppId,
        spec: Arc<AppSpec>,
        version: Version,
    ) -> Result<Preparation<PreparedApp>, LaunchError> {
        // Before anything is made for it, such as its state directory.
        self.parts
            .puller
            .admit(&spec.reference)
            .map_err(LaunchFailure::from)?;
        let resolved = Box::pin(self.parts.version(&id, &spec, &version)).await?;
        let (digest, revalidate) = (resolved.digest, resolved.from_memory);
        let prepared = match Box::pin(self.parts.prepare(&id, &spec, digest)).await {
            // What the tag meant may be gone from the cache and from the registry; what it means now is not.
            Err(LaunchFailure::Oci(error)) if revalidate => {
                let fresh = match Box::pin(self.parts.resolve(&spec)).await {
                    Ok(fresh) if fresh != digest => fresh,
                    // A refusal says more than that nobody can be asked.
                    Err(unresolved) if !matches!(error, OciError::Refused(_)) => {
                        return Err(LaunchFailure::from(unresolved).into());
                    }
                    _ => return Err(LaunchFailure::from(error).into()),
                };
                let prepared = Box::pin(self.parts.prepare(&id, &spec, fresh)).await?;
                return Ok(Preparation {
                    once: prepared.once,
                    prepared,
                    digest: fresh.to_string(),
                    revalidate: false,
                });
            }
            prepared => prepared?,
        };
        Ok(Preparation {
            once: prepared.once,
            prepared,
            digest: digest.to_string(),
            revalidate,
        })
    }

    async fn activate(
        &self,
        id: AppId,
        spec: Arc<AppSpec>,
        address: ResolvedAddress,
        prepared: PreparedApp,
        done: bool,
    ) -> Result<Running, LaunchError> {
        let PreparedApp {
            mut triggers,
            tls,
            digest,
            once,
            pins,
            lease,
        } = prepared;
        let routes = triggers.take_routes();
        let started = triggers
            .start(&self.parts, address, &spec.site, tls, done)
            .await?;
        let mut served: Vec<String> = Vec::new();
        if let Some(http) = &started.http {
            for url in &http.urls {
                tracing::info!(app = id.as_str(), address = %http.address, %digest, "serving {url}");
            }
            for route in &routes {
                tracing::info!(
                    app = id.as_str(),
                    "  {}: {}{}",
                    route.target,
                    http.base,
                    route.pattern
                );
            }
            served.extend(
                routes
                    .iter()
                    .map(|route| format!("{} {}", route.pattern, route.target)),
            );
        }
        let command = started.command.iter().flat_map(|command| &command.about);
        for line in started
            .events
            .iter()
            .flat_map(|events| &events.about)
            .chain(command)
        {
            tracing::info!(app = id.as_str(), %digest, "running {line}");
            served.push(line.clone());
        }
        let address = match &started.http {
            Some(http) => http.address.to_string(),
            None => NO_ADDRESS.into(),
        };
        let trouble = started.http.as_ref().and_then(|http| http.trouble.clone());
        let pinned = self.parts.pins.hold(id, pins, lease);
        let (run, finished) = match started.only_http(once) {
            Ok(http) => (Run::Passive(Box::new(PassiveApp { http, pinned })), None),
            Err(started) => {
                let (triggers, stop, finished) = started.run(once);
                let task = tasks::spawn("app", async move {
                    triggers.await;
                    drop(pinned);
                });
                (Run::Task { task, stop }, finished)
            }
        };
        Ok(Running {
            digest: digest.to_string(),
            address,
            routes: served,
            run,
            finished,
            trouble,
        })
    }

    async fn resolve(&self, spec: Arc<AppSpec>) -> Result<String, LaunchError> {
        Ok(self
            .parts
            .resolve(&spec)
            .await
            .map_err(LaunchFailure::from)?
            .to_string())
    }

    async fn back_up(&self, _: AppId, spec: Arc<AppSpec>) -> Result<Backup, LaunchError> {
        Ok(Box::pin(self.parts.back_up(&spec)).await?)
    }

    fn retain(&self, ids: Vec<AppId>) {
        let pins = self.parts.pins.clone();
        tasks::spawn("retain", async move {
            // A panic has been logged; there is nothing else to wait for.
            let _ = tokio::task::spawn_blocking(move || pins.retain(&ids)).await;
        });
    }

    fn forget(&self, id: &AppId) {
        self.parts.logs.forget(id.as_str());
        self.parts.metrics.forget(id.as_str());
        let (pins, id) = (self.parts.pins.clone(), id.clone());
        tasks::spawn("forget", async move {
            // A panic has been logged; there is nothing else to wait for.
            let _ = tokio::task::spawn_blocking(move || pins.forget(&id)).await;
        });
    }
}

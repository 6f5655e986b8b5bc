//! The straight pipe from an app file to a running trigger.
//!
//! ```text
//! prepare   Reference ▶ Digest ▶ stored content ▶ LockedApp ▶ LoadedApp      slow, fallible, touches no port
//! activate  Listener(address) + LoadedApp ▶ RunningApp                       fast, atomic
//! ```

mod error;
mod pins;
mod pipe;

use std::path::PathBuf;
use std::sync::Arc;

pub use error::LaunchFailure;
pub use pins::Pins;
pub use pipe::PreparedApp;

use crate::control::{LaunchError, Launcher, Preparation, ResolvedAddress, Running, Version};
use crate::loader::Loader;
use crate::manifest::{AppId, AppSpec};
use crate::oci::{Puller, Resolutions};
use crate::tasks;
use crate::trigger::http::{self, HttpHost, ListenAddress, Listeners};

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
    pub http: HttpHost,
    pub listeners: Listeners,
    /// Where relative state directories are.
    pub state_root: PathBuf,
    /// Whether `SPIN_VARIABLE_*` of the process reach every app.
    pub shared_variables: bool,
    pub pins: Pins,
}

impl AppLauncher {
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
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
        let resolved = self.parts.version(&id, &spec, &version).await?;
        let (digest, revalidate) = (resolved.digest, resolved.from_memory);
        let prepared = match self.parts.prepare(&id, &spec, digest).await {
            // What the tag meant may be gone from the cache and from the registry; what it means now is not.
            Err(LaunchFailure::Oci(error)) if revalidate => {
                let fresh = self.parts.resolve(&spec).await.map_err(LaunchFailure::from)?;
                if fresh == digest {
                    return Err(LaunchFailure::from(error).into());
                }
                let prepared = self.parts.prepare(&id, &spec, fresh).await?;
                return Ok(Preparation {
                    prepared,
                    digest: fresh.to_string(),
                    revalidate: false,
                });
            }
            prepared => prepared?,
        };
        Ok(Preparation {
            prepared,
            digest: digest.to_string(),
            revalidate,
        })
    }

    async fn activate(
        &self,
        id: AppId,
        _: Arc<AppSpec>,
        address: ResolvedAddress,
        prepared: PreparedApp,
    ) -> Result<Running, LaunchError> {
        let PreparedApp { app, pins, lease } = prepared;
        let address = match address {
            ResolvedAddress::Tcp(address) => ListenAddress::Tcp(address),
            ResolvedAddress::Unix(path) => ListenAddress::Unix(path),
        };
        let digest = app.digest().to_owned();
        let routes = app.routes();
        let started = http::start(&self.parts.listeners, &address, app)
            .await
            .map_err(LaunchFailure::from)?;
        tracing::info!(app = id.as_str(), address = %started.address, %digest, "serving {}", started.url);
        for route in &routes {
            tracing::info!(
                app = id.as_str(),
                "  {}: {}{}",
                route.target,
                started.url,
                route.pattern
            );
        }
        let task = tasks::spawn("app", {
            let all_pins = self.parts.pins.clone();
            async move {
                let pinned = tokio::task::spawn_blocking(move || all_pins.add(&id, pins)).await;
                drop(lease);
                let _ = started.task.await;
                drop(pinned);
            }
        });
        Ok(Running {
            digest,
            address: started.address.to_string(),
            routes: routes
                .iter()
                .map(|route| format!("{} {}", route.pattern, route.target))
                .collect(),
            task,
            stop: started.stop,
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

    fn retain(&self, ids: Vec<AppId>) {
        let pins = self.parts.pins.clone();
        tasks::spawn("retain", async move {
            // A panic has been logged; there is nothing else to wait for.
            let _ = tokio::task::spawn_blocking(move || pins.retain(&ids)).await;
        });
    }

    fn forget(&self, id: &AppId) {
        let (pins, id) = (self.parts.pins.clone(), id.clone());
        tasks::spawn("forget", async move {
            // A panic has been logged; there is nothing else to wait for.
            let _ = tokio::task::spawn_blocking(move || pins.forget(&id)).await;
        });
    }
}

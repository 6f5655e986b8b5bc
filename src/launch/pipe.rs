//! Digest to an app that is ready to serve.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::components::{AppResources, Directories};
use super::triggers::{Plans, PreparedTriggers};
use super::{LaunchFailure, Parts};
use crate::app::LockedApp;
use crate::control::{AppId, Version};
use crate::logs;
use crate::manifest::{Address, AppSpec, HealthCheck};
use crate::oci::{AppConfig, Digest, Lease, OciError, Pin};
use crate::runtime_config::{RuntimeConfig, RuntimeConfigError, RuntimeConfigSource};
use crate::tasks;
use crate::trigger::AppInput;
use crate::trigger::http::ListenAddress;
use crate::trigger::http::tls::EndpointTls;
use crate::variables::{Declared, Environment, Provider, Values, Variables, configured_providers};

/// Below the state directory, as Spin has it.
const LOG_DIR: &str = "logs";

/// An app that is ready to serve, and what it needs of the store.
pub struct PreparedApp {
    pub(super) triggers: PreparedTriggers,
    /// `None`: clients are met by plain http.
    pub(super) tls: Option<EndpointTls>,
    pub(super) digest: Digest,
    /// It has a command, which runs once.
    pub(super) once: bool,
    pub(super) pins: Vec<Pin>,
    /// Keeps it from being pruned until it is pinned.
    pub(super) lease: Lease,
}

/// What a reference means, and whether anybody was asked.
pub(super) struct Resolved {
    pub(super) digest: Digest,
    pub(super) from_memory: bool,
}

/// What an app is prepared with.
struct Given<'a> {
    /// Paths of stores are resolved.
    config: RuntimeConfig,
    directories: Directories,
    /// What it has to answer before it is fit to serve.
    health: Option<&'a HealthCheck>,
}

impl Parts {
    /// The digest to start from.
    pub(super) async fn version(
        &self,
        id: &AppId,
        spec: &AppSpec,
        version: &Version,
    ) -> Result<Resolved, LaunchFailure> {
        match version {
            Version::Exactly(digest) => {
                let digest = Digest::parse(digest).map_err(LaunchFailure::Digest)?;
                Ok(Resolved {
                    digest,
                    from_memory: false,
                })
            }
            Version::Fresh => Ok(Resolved {
                digest: self.resolve(spec).await?,
                from_memory: false,
            }),
            Version::Stored => self.stored_or_fresh(id, spec).await,
        }
    }

    /// A registry is not waited for when it is known what the reference meant; what is on this machine is asked first, and
    /// remembered all the same.
    async fn stored_or_fresh(&self, id: &AppId, spec: &AppSpec) -> Result<Resolved, LaunchFailure> {
        let stored = self.stored(spec).await;
        match stored {
            Some(digest) if spec.reference.is_remote() || spec.reference.is_pinned() => {
                tracing::info!(app = id.as_str(), %digest, "starting from the stored digest");
                Ok(Resolved {
                    digest,
                    from_memory: !spec.reference.is_pinned(),
                })
            }
            stored => match (self.resolve(spec).await, stored) {
                (Ok(digest), _) => Ok(Resolved {
                    digest,
                    from_memory: false,
                }),
                (Err(error), Some(digest)) => {
                    tracing::warn!(
                        app = id.as_str(),
                        %digest,
                        error = &error as &dyn std::error::Error,
                        "starting from the stored digest"
                    );
                    Ok(Resolved {
                        digest,
                        from_memory: true,
                    })
                }
                (Err(error), None) => Err(error.into()),
            },
        }
    }

    async fn stored(&self, spec: &AppSpec) -> Option<Digest> {
        if let Some(digest) = spec.reference.digest() {
            return Some(digest);
        }
        let (resolutions, reference) = (self.resolutions.clone(), spec.reference.clone());
        tasks::on_disk(move || resolutions.get(&reference))
            .await
            .ok()
            .flatten()
    }

    /// What the reference means now; remembered, unless it always means the same.
    pub(super) async fn resolve(&self, spec: &AppSpec) -> Result<Digest, OciError> {
        if let Some(digest) = spec.reference.digest() {
            return Ok(digest);
        }
        let digest = Box::pin(self.puller.resolve(&spec.reference)).await?;
        let (resolutions, reference) = (self.resolutions.clone(), spec.reference.clone());
        let written = tasks::on_disk(move || resolutions.put(&reference, digest)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(reference = %spec.reference, %error, "what the reference means can't be remembered");
        }
        Ok(digest)
    }

    /// Everything but the port. Its steps are boxed: thousands of apps may be prepared at once, and each is as large as the step
    /// that it is at.
    pub(super) async fn prepare(
        &self,
        id: &AppId,
        spec: &AppSpec,
        digest: Digest,
    ) -> Result<PreparedApp, LaunchFailure> {
        let mut config = self.runtime_config(spec).await?;
        let state_dir = self.make_state_dir(spec, &config).await?;
        config.resolve_store_paths(&state_dir);
        for file in config.files() {
            self.writable.check("the database", file)?;
        }
        self.check_socket(&spec.address)?;
        let logs = self.log_directory(id, &config, &state_dir);
        if self.logs.has_files() {
            self.writable.check("the log directory", &logs)?;
        }
        let given = Given {
            directories: Directories {
                logs: self.logs.app(id.as_str(), logs),
                state: state_dir,
            },
            config,
            health: spec.health.as_ref(),
        };
        self.prepare_with(id, spec, digest, given).await
    }

    /// Whether the app could run: everything but the port, its own directory and its health. Gives the digest.
    pub(super) async fn try_out(&self, id: &AppId, spec: &AppSpec) -> Result<Digest, LaunchFailure> {
        let mut config = self.runtime_config(spec).await?;
        config.resolve_store_paths(&self.state_root);
        let digest = Box::pin(self.puller.resolve(&spec.reference)).await?;
        let logs = self.log_directory(id, &config, &self.state_root);
        let given = Given {
            directories: Directories {
                logs: self.logs.app(id.as_str(), logs),
                state: self.state_root.clone(),
            },
            config,
            health: None,
        };
        self.prepare_with(id, spec, digest, given).await?;
        Ok(digest)
    }

    async fn prepare_with(
        &self,
        id: &AppId,
        spec: &AppSpec,
        digest: Digest,
        given: Given<'_>,
    ) -> Result<PreparedApp, LaunchFailure> {
        let Given {
            config,
            directories,
            health,
        } = given;
        let artifact = Box::pin(self.puller.pull(&spec.reference, &digest)).await?;
        let app = match &artifact.config {
            AppConfig::Locked(json) => LockedApp::parse(json)?,
            AppConfig::PlainWasm { digest, name } => LockedApp::plain_wasm(name, digest),
        };
        let plans = Plans::new(&self.kinds, &app, spec)?;
        if plans.has_http() && spec.address == Address::Absent {
            return Err(LaunchFailure::NoAddress);
        }
        if spec.health.is_some() && !plans.has_http() {
            return Err(LaunchFailure::HealthWithoutHttp);
        }
        let tls = match plans.has_http() {
            true => Box::pin(self.tls.prepare(spec)).await?,
            false => None,
        };
        let once = plans.has_command();
        let variables = Arc::new(self.variables(id, spec, &app, &config)?);
        Box::pin(variables.check_required()).await?;
        let resources = AppResources::new(self, id, &app, spec, config, directories, variables.clone());
        let resources = Box::pin(resources).await?;
        let mut pins: Vec<Pin> = artifact.blobs.iter().map(Pin::from).collect();
        let mut components = BTreeMap::new();
        for component in plans.components(&app) {
            let prepared = Box::pin(self.component(&resources, component)).await?;
            pins.extend(prepared.loaded.pins.iter().cloned());
            components.insert(component.id.clone(), prepared);
        }
        let input = AppInput {
            id: id.as_str().into(),
            digest: digest.to_string(),
            app: &app,
            components: &components,
            variables,
            requests: resources.requests.clone(),
        };
        Ok(PreparedApp {
            triggers: Box::pin(plans.prepare(self, &input, health)).await?,
            tls,
            digest,
            once,
            pins,
            lease: artifact.lease,
        })
    }

    /// The app's own over the daemon's. Paths of stores are relative still, to the app's state directory, unless a file of
    /// the app's own names them.
    pub(super) async fn runtime_config(&self, spec: &AppSpec) -> Result<RuntimeConfig, LaunchFailure> {
        let own = match spec.runtime_config.clone() {
            None => RuntimeConfig::default(),
            Some(RuntimeConfigSource::Inline(config)) => *config,
            Some(RuntimeConfigSource::File(file)) => read_config(file).await?,
        };
        Ok(own.over(&self.runtime_config))
    }

    /// The app file's `state_dir`, unless the app's own runtime configuration names another.
    async fn make_state_dir(&self, spec: &AppSpec, config: &RuntimeConfig) -> Result<PathBuf, LaunchFailure> {
        let path = self.state_dir(spec, config);
        self.writable.check("the state directory", &path)?;
        let error = |source| LaunchFailure::StateDir {
            path: path.clone(),
            source,
        };
        let made = path.clone();
        match tasks::on_disk(move || std::fs::create_dir_all(&made)).await {
            Ok(made) => made.map_err(error)?,
            // It panicked, and goes on doing so here.
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
        std::path::absolute(&path).map_err(error)
    }

    pub(super) fn state_dir(&self, spec: &AppSpec, config: &RuntimeConfig) -> PathBuf {
        match &config.state_dir {
            Some(path) => path.clone(),
            None => self.state_root.join(&spec.state_dir),
        }
    }

    /// The app's own log directory, or one of its own below the daemon's, or below its state directory.
    fn log_directory(&self, id: &AppId, config: &RuntimeConfig, state_dir: &Path) -> PathBuf {
        match (&config.log_dir, &self.runtime_config.log_dir) {
            (Some(own), _) => state_dir.join(own),
            (None, Some(all)) => all.join(logs::app_directory(id.as_str())),
            (None, None) => state_dir.join(LOG_DIR),
        }
    }

    /// A socket that is open already needs no place for its file.
    fn check_socket(&self, address: &Address) -> Result<(), LaunchFailure> {
        match address {
            Address::Unix(path) if !self.listeners.has(&ListenAddress::Unix(path.clone())) => {
                Ok(self.writable.check_socket(path)?)
            }
            _ => Ok(()),
        }
    }

    fn variables(
        &self,
        id: &AppId,
        spec: &AppSpec,
        app: &LockedApp,
        config: &RuntimeConfig,
    ) -> Result<Variables, LaunchFailure> {
        for name in spec
            .variables
            .keys()
            .filter(|name| !app.variables.contains_key(*name))
        {
            tracing::warn!(
                app = id.as_str(),
                variable = name,
                "the app file gives a value for a variable that the app does not have"
            );
        }
        let declared = app.variables.iter().map(|(name, variable)| {
            (
                name.clone(),
                Declared {
                    default: variable.default.clone().map(Into::into),
                },
            )
        });
        let mut providers: Vec<Box<dyn Provider>> = vec![Box::new(Values::new(spec.variables.clone()))];
        providers.extend(configured_providers(&config.variables_providers)?);
        if self.shared_variables {
            providers.push(Box::new(Environment::default()));
        }
        Ok(Variables::new(declared.collect(), providers))
    }
}

/// Reads a file of an app's own; the stores that it names are beside it.
async fn read_config(file: PathBuf) -> Result<RuntimeConfig, LaunchFailure> {
    let read = move || {
        let mut config = RuntimeConfig::read(&file)?;
        let base = file.parent().unwrap_or(Path::new("")).to_owned();
        config.resolve_store_paths(&base);
        Ok::<_, RuntimeConfigError>(config)
    };
    match tasks::on_disk(read).await {
        Ok(config) => Ok(config?),
        // It panicked, and goes on doing so here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

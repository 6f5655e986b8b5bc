//! Digest to an app that is ready to serve.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blueprint::{self, Blueprint, Content};
use super::components::{AppResources, Bounds, Directories};
use super::triggers::{Plans, PreparedTriggers};
use super::{LaunchFailure, Parts};
use crate::app::LockedApp;
use crate::control::{AppId, Version};
use crate::logs;
use crate::manifest::{Address, AppSpec, HealthCheck};
use crate::oci::{AppConfig, Digest, Looked, OciError, Pin};
use crate::runtime_config::{RuntimeConfig, RuntimeConfigError, RuntimeConfigSource};
use crate::tasks;
use crate::trigger::http::tls::EndpointTls;
use crate::trigger::http::{ListenAddress, Rest};
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
    pub(super) lease: Arc<Looked>,
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
    /// The app's own part of it, if that is in a file.
    own: Option<Arc<RuntimeConfig>>,
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
        let known = |digest, from_memory| Resolved { digest, from_memory };
        if (spec.reference.is_remote() || spec.reference.is_pinned())
            && let Some(digest) = self.stored(spec).await
        {
            tracing::info!(app = id.as_str(), %digest, "starting from the stored digest");
            return Ok(known(digest, !spec.reference.is_pinned()));
        }
        let error = match self.resolve(spec).await {
            Ok(digest) => return Ok(known(digest, false)),
            Err(error) => error,
        };
        let Some(digest) = self.stored(spec).await else {
            return Err(error.into());
        };
        tracing::warn!(
            app = id.as_str(),
            %digest,
            error = &error as &dyn std::error::Error,
            "starting from the stored digest"
        );
        Ok(known(digest, true))
    }

    async fn stored(&self, spec: &AppSpec) -> Option<Digest> {
        if let Some(digest) = spec.reference.digest() {
            return Some(digest);
        }
        let (resolutions, reference) = (self.resolutions.clone(), spec.reference.clone());
        tasks::on_disk(move || resolutions.get(&reference)).await
    }

    /// What the reference means now; remembered, unless it always means the same.
    pub(super) async fn resolve(&self, spec: &AppSpec) -> Result<Digest, OciError> {
        if let Some(digest) = spec.reference.digest() {
            return Ok(digest);
        }
        let digest = Box::pin(self.puller.resolve(&spec.reference)).await?;
        let (resolutions, reference) = (self.resolutions.clone(), spec.reference.clone());
        let written = tasks::on_disk(move || resolutions.put(&reference, digest)).await;
        if let Err(error) = written {
            tracing::warn!(reference = %spec.reference, %error, "what the reference means can't be remembered");
        }
        Ok(digest)
    }

    /// Everything but the port. Its steps are boxed: thousands of apps may be prepared at once, and each is as large as the step
    /// that it is at.
    pub(super) async fn prepare(
        self: &Arc<Self>,
        id: &AppId,
        spec: &Arc<AppSpec>,
        digest: Digest,
    ) -> Result<PreparedApp, LaunchFailure> {
        let own = self.own_runtime_config(spec).await?;
        let in_file = matches!(spec.runtime_config, Some(RuntimeConfigSource::File(_)));
        let kept = in_file.then(|| Arc::new(own.clone()));
        let mut config = own.over(&self.runtime_config);
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
            own: kept,
            health: spec.health.as_deref(),
        };
        self.prepare_with(id, spec, digest, given).await
    }

    /// Whether the app could run: everything but the port, its own directory and its health. Gives the digest.
    pub(super) async fn try_out(
        self: &Arc<Self>,
        id: &AppId,
        spec: &Arc<AppSpec>,
    ) -> Result<Digest, LaunchFailure> {
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
            own: None,
            health: None,
        };
        self.prepare_with(id, spec, digest, given).await?;
        Ok(digest)
    }

    async fn prepare_with(
        self: &Arc<Self>,
        id: &AppId,
        spec: &Arc<AppSpec>,
        digest: Digest,
        given: Given<'_>,
    ) -> Result<PreparedApp, LaunchFailure> {
        let Given {
            config,
            own,
            directories,
            health,
        } = given;
        let artifact = Box::pin(self.puller.pull(&spec.reference, &digest)).await?;
        let (content, app) = match &artifact.config {
            AppConfig::Locked { digest, json } => (Content::Locked(*digest), LockedApp::parse(json)?),
            AppConfig::PlainWasm { digest, name } => {
                let app = LockedApp::plain_wasm(name, digest);
                let (digest, name) = (*digest, name.as_str().into());
                (Content::PlainWasm { digest, name }, app)
            }
        };
        let app = Arc::new(app);
        self.recent.put(&content, &app);
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
        warn_of_unknown_variables(id, spec, &app);
        let variables = Arc::new(self.variables(spec, &app, &config)?);
        Box::pin(variables.check_required()).await?;
        let (bounds, logs) = (Bounds::new(self, id, spec), directories.logs.clone());
        let resources = AppResources::new(
            self,
            id,
            &app,
            spec,
            config,
            directories,
            variables.clone(),
            &bounds,
        );
        let resources = Box::pin(resources).await?;
        let mut pins: Vec<Pin> = artifact.blobs.iter().map(Pin::from).collect();
        let mut components = BTreeMap::new();
        for component in plans.components(&app) {
            let prepared = Box::pin(self.component(&resources, component)).await?;
            pins.extend(prepared.loaded.pins.iter().cloned());
            components.insert(component.id.clone(), prepared);
        }
        let input = blueprint::input(id, &digest, &app, &components, variables, &resources);
        let blueprint = Blueprint {
            all: self.clone(),
            id: id.clone(),
            spec: spec.clone(),
            digest,
            content,
            own,
            logs,
            bounds,
        };
        let rest = resources.can_rest().then(|| Rest {
            make: Box::new(blueprint),
            residents: self.resting.clone(),
        });
        Ok(PreparedApp {
            triggers: Box::pin(plans.prepare(self, &input, rest, health)).await?,
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
        Ok(self.own_runtime_config(spec).await?.over(&self.runtime_config))
    }

    async fn own_runtime_config(&self, spec: &AppSpec) -> Result<RuntimeConfig, LaunchFailure> {
        Ok(match spec.runtime_config.clone() {
            None => RuntimeConfig::default(),
            Some(RuntimeConfigSource::Inline(config)) => *config,
            Some(RuntimeConfigSource::File(file)) => read_config(file).await?,
        })
    }

    /// The app file's `state_dir`, unless the app's own runtime configuration names another.
    async fn make_state_dir(&self, spec: &AppSpec, config: &RuntimeConfig) -> Result<PathBuf, LaunchFailure> {
        let path = self.state_dir(spec, config);
        self.writable.check("the state directory", &path)?;
        let made = path.clone();
        let made = tasks::on_disk(move || std::fs::create_dir_all(&made)).await;
        made.map_err(|source| LaunchFailure::StateDir { path, source })?;
        self.absolute_state_dir(spec, config)
    }

    /// The state directory, which need not exist.
    pub(super) fn absolute_state_dir(
        &self,
        spec: &AppSpec,
        config: &RuntimeConfig,
    ) -> Result<PathBuf, LaunchFailure> {
        let path = self.state_dir(spec, config);
        std::path::absolute(&path).map_err(|source| LaunchFailure::StateDir { path, source })
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

    pub(super) fn variables(
        &self,
        spec: &AppSpec,
        app: &LockedApp,
        config: &RuntimeConfig,
    ) -> Result<Variables, LaunchFailure> {
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

fn warn_of_unknown_variables(id: &AppId, spec: &AppSpec, app: &LockedApp) {
    let given = spec.variables.keys();
    for name in given.filter(|name| !app.variables.contains_key(*name)) {
        tracing::warn!(
            app = id.as_str(),
            variable = name,
            "the app file gives a value for a variable that the app does not have"
        );
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
    Ok(tasks::on_disk(read).await?)
}

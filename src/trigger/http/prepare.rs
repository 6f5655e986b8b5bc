//! A locked app and its loaded components to an app that is ready to serve. Touches no port.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use super::app::{AppParts, Endpoint, HttpApp, HttpComponent};
use super::config::{self, ConfigError, HttpTrigger, Target};
use super::executor::{BufferedInstances, Executor, FreshInstances, Guest, Life, ReusedInstances};
use super::router::{RouteError, RouteWarning, Router};
use super::static_response::{StaticResponse, StaticResponseError};
use crate::app::{AppError, Component, LockedApp};
use crate::host::wasi_rc::{Candidate, Handler};
use crate::host::{OutboundHttp, OutboundPermission, PermissionError};
use crate::loader::{self, HandlerType, LoadError, LoadedComponent};
use crate::net::HttpClient;
use crate::runtime::{InstanceSettings, MAX_INSTANCES_OF_APP, Runtime};
use crate::variables::Variables;

/// The kind of trigger that this room runs.
pub const KIND: &str = "http";
/// What an app may require of an HTTP trigger (`docs/contract/locked-app.md §6`).
const SUPPORTED: [&str; 2] = ["local_service_chaining", "middleware"];
/// How long the trial instance of each component may take to start.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Why an app can't be served.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("the static response of the trigger `{trigger}` can't be sent")]
    Static {
        trigger: String,
        source: StaticResponseError,
    },
    #[error("the component `{component}` has permissions that are not understood")]
    Permission {
        component: String,
        source: PermissionError,
    },
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the component `{component}` can't be instantiated")]
    Instantiate {
        component: String,
        source: wasmtime::Error,
    },
    #[error("the component `{0}` did not start within {TRIAL_TIMEOUT:?}")]
    TrialTimeout(String),
}

/// What an app's HTTP triggers say, before anything is loaded.
pub struct HttpPlan {
    triggers: Vec<HttpTrigger>,
    base_path: String,
    components: BTreeSet<String>,
}

/// What every app of the process is built with.
#[derive(Clone)]
pub struct HttpHost {
    pub runtime: Runtime,
    pub client: HttpClient<WasiBody>,
}

/// One version of one app, as it was asked for.
pub struct HttpAppInput<'a> {
    /// The app, as its file names it.
    pub id: Arc<str>,
    /// Of the artifact's manifest.
    pub digest: String,
    pub app: &'a LockedApp,
    /// The components of the plan.
    pub loaded: BTreeMap<String, LoadedComponent>,
    /// Added to every component's own.
    pub environment: &'a BTreeMap<String, String>,
    pub variables: Arc<Variables>,
}

impl HttpPlan {
    /// Reads the HTTP triggers of `app`, and refuses what it requires and does not get.
    pub fn new(app: &LockedApp) -> Result<Self, PrepareError> {
        let base_path = config::base_path(&app.trigger_settings(KIND))?;
        let mut triggers = Vec::new();
        let mut components = BTreeSet::new();
        for trigger in app.triggers_of(KIND)? {
            trigger.check_dependencies()?;
            let trigger = HttpTrigger::read(trigger, &base_path)?;
            if let Target::Component(id) = &trigger.target {
                app.component(id, &trigger.id)?;
                components.insert(id.clone());
            }
            triggers.push(trigger);
        }
        let plan = Self {
            triggers,
            base_path,
            components,
        };
        app.check_requirements(plan.components(app), &SUPPORTED)?;
        Ok(plan)
    }

    /// The components that have to be loaded: others are not looked at.
    pub fn components<'a>(&'a self, app: &'a LockedApp) -> impl Iterator<Item = &'a Component> {
        app.components
            .iter()
            .filter(|component| self.components.contains(&component.id))
    }
}

/// Links every component and instantiates it once: what can't start must not replace what works.
pub async fn prepare(
    host: &HttpHost,
    plan: HttpPlan,
    input: HttpAppInput<'_>,
) -> Result<Arc<HttpApp>, PrepareError> {
    let (router, endpoints) = routes(&plan, &input.id)?;
    let life = Life::default();
    let ids: Vec<String> = input
        .app
        .components
        .iter()
        .map(|component| component.id.clone())
        .collect();
    let places = Arc::new(Semaphore::new(MAX_INSTANCES_OF_APP));
    let mut linked = Vec::new();
    for component in plan.components(input.app) {
        let Some(loaded) = input.loaded.get(&component.id) else {
            continue;
        };
        let name: Arc<str> = component.id.as_str().into();
        let permission = OutboundPermission::new(
            input.id.clone(),
            name.clone(),
            &component.metadata()?.allowed_outbound_hosts,
            ids.clone(),
            input.variables.clone(),
        );
        let permission = permission.map_err(|source| PrepareError::Permission {
            component: component.id.clone(),
            source,
        })?;
        let mut environment = component.env.clone();
        environment.extend(input.environment.clone());
        let settings = InstanceSettings {
            app: input.id.clone(),
            component: name,
            environment: environment.into_iter().collect(),
            files: loaded.files.clone(),
            places: places.clone(),
        };
        linked.push((settings, permission, executor(host, &component.id, loaded)?));
    }
    let app = HttpApp::new(|local| {
        let components = linked.into_iter().map(|(settings, permission, executor)| {
            let outbound = OutboundHttp {
                client: host.client.clone(),
                permission: permission.into(),
                local: local.clone(),
            };
            let id = settings.component.to_string();
            let guest = Guest {
                runtime: host.runtime.clone(),
                settings,
                outbound,
                life: life.clone(),
            };
            (
                id,
                HttpComponent {
                    guest: guest.into(),
                    executor,
                },
            )
        });
        AppParts {
            id: input.id.clone(),
            name: input.app.name().to_owned(),
            version: input.app.version().map(str::to_owned),
            digest: input.digest.clone(),
            router,
            base_path: plan.base_path.clone(),
            endpoints,
            components: components.collect(),
            life: life.clone(),
        }
    });
    for (id, component) in &app.parts.components {
        let trial = tokio::time::timeout(
            TRIAL_TIMEOUT,
            component.executor.try_instantiate(&component.guest),
        );
        let error = |source| PrepareError::Instantiate {
            component: id.clone(),
            source,
        };
        trial
            .await
            .map_err(|_| PrepareError::TrialTimeout(id.clone()))?
            .map_err(error)?;
    }
    Ok(app)
}

fn routes(plan: &HttpPlan, app: &str) -> Result<(Router, Vec<Endpoint>), PrepareError> {
    let mut endpoints = Vec::new();
    let mut routes = Vec::new();
    for trigger in &plan.triggers {
        let endpoint =
            match &trigger.target {
                Target::Component(id) => Endpoint::Component(id.clone()),
                Target::Static(config) => Endpoint::Static(StaticResponse::new(config).map_err(
                    |source| PrepareError::Static {
                        trigger: trigger.id.clone(),
                        source,
                    },
                )?),
            };
        // A private endpoint has no route.
        if let Some(route) = &trigger.route {
            routes.push((route.clone(), endpoints.len()));
        }
        endpoints.push(endpoint);
    }
    let (router, warnings) = Router::new(routes)?;
    for warning in warnings {
        match warning {
            RouteWarning::Twice(route) => {
                tracing::error!(app, route, "a route is declared twice: the later one is served")
            }
            RouteWarning::Reserved(route) => {
                tracing::error!(app, route, "a route can't be reached: the host answers there")
            }
        }
    }
    Ok((router, endpoints))
}

fn executor(host: &HttpHost, id: &str, loaded: &LoadedComponent) -> Result<Executor, PrepareError> {
    let component = loaded.compiled.component();
    let handler = HandlerType::of(component, id)?;
    let pre = loader::link(host.runtime.linker(), component, id)?;
    let error = |source| PrepareError::Instantiate {
        component: id.into(),
        source,
    };
    Ok(match handler {
        HandlerType::Wasi0_2 => Executor::Fresh(FreshInstances::Wasi02(ProxyPre::new(pre).map_err(error)?)),
        HandlerType::WasiRc20231018 => Executor::Fresh(FreshInstances::Candidate(
            Handler::new(pre, Candidate::October).map_err(error)?,
        )),
        HandlerType::WasiRc20231110 => Executor::Fresh(FreshInstances::Candidate(
            Handler::new(pre, Candidate::November).map_err(error)?,
        )),
        HandlerType::Wasi0_3 => Executor::Reused(ReusedInstances::new(ServicePre::new(pre).map_err(error)?)),
        HandlerType::Wasi0_3Rc => {
            Executor::Reused(ReusedInstances::single_use(ServicePre::new(pre).map_err(error)?))
        }
        HandlerType::SpinInbound => Executor::Buffered(BufferedInstances::new(pre).map_err(error)?),
    })
}

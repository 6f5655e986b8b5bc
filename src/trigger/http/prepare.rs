//! A locked app and its loaded components to an app that is ready to serve. Touches no port.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::admission::Admission;
use super::app::{AppParts, Endpoint, HttpApp, HttpComponent};
use super::config::{self, ConfigError, ExecutorConfig, HttpTrigger, Target};
use super::executor::OnDemand;
use super::router::{RouteError, RouteWarning, Router};
use super::static_response::{StaticResponse, StaticResponseError};
use crate::app::{AppError, Component, LockedApp};
use crate::loader::{ComponentError, LoadError, Trial};
use crate::runtime::Runtime;
use crate::trigger::command_guest::CommandError;
use crate::trigger::guest::{AppInput, Guest, Life};

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
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Code(#[from] ComponentError),
    #[error(transparent)]
    Command(#[from] CommandError),
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

    /// How a component is called. Of several triggers the last one says.
    fn executor(&self, component: &str) -> ExecutorConfig {
        let mut triggers = self.triggers.iter().rev();
        let named =
            triggers.find(|trigger| matches!(&trigger.target, Target::Component(id) if id == component));
        named.map_or(ExecutorConfig::Http, |trigger| trigger.executor.clone())
    }
}

/// Links every component and instantiates it once, unless that has been done before in the same way: what can't start must
/// not replace what works.
pub async fn prepare(
    runtime: &Runtime,
    plan: HttpPlan,
    input: &AppInput<'_>,
) -> Result<Arc<HttpApp>, PrepareError> {
    let (router, endpoints) = routes(&plan, &input.id)?;
    let life = Life::default();
    let mut trials = Vec::new();
    let app = HttpApp::new(|local| {
        let mut components = HashMap::new();
        for component in plan.components(input.app) {
            let Some(prepared) = input.components.get(&component.id) else {
                continue;
            };
            let config = plan.executor(&component.id);
            trials.push((
                &component.id,
                prepared,
                Trial::of(config.name(), &prepared.settings),
            ));
            let code = prepared.loaded.code.clone();
            let executor = OnDemand::new(runtime, &component.id, code, config);
            let guest = prepared.guest(runtime, Some(local.clone()), &life).into();
            components.insert(component.id.clone(), HttpComponent { guest, executor });
        }
        AppParts {
            id: input.id.clone(),
            name: input.app.name().to_owned(),
            version: input.app.version().map(str::to_owned),
            digest: input.digest.clone(),
            router,
            base_path: plan.base_path.clone(),
            endpoints: endpoints.into(),
            components,
            life: life.clone(),
            admission: Admission::new(input.requests.clone()),
        }
    });
    for (id, prepared, trial) in trials {
        let passed = |trial: &Trial| prepared.loaded.has_passed(trial);
        if trial.as_ref().is_some_and(passed) {
            continue;
        }
        let HttpComponent { guest, executor } = &app.parts.components[id];
        try_instantiate(id, guest, executor).await?;
        if let Some(trial) = trial {
            executor.code().passed(trial).await;
        }
    }
    Ok(app)
}

async fn try_instantiate(id: &str, guest: &Guest, executor: &Arc<OnDemand>) -> Result<(), PrepareError> {
    let executor = executor.get().await?;
    let tried = tokio::time::timeout(TRIAL_TIMEOUT, executor.try_instantiate(guest)).await;
    let tried = tried.map_err(|_| PrepareError::TrialTimeout(id.to_owned()))?;
    tried.map_err(|source| PrepareError::Instantiate {
        component: id.to_owned(),
        source,
    })
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

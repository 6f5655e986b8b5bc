//! A locked app and its loaded components to an app that is ready to serve. Touches no port.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::Admission;
use super::app::{HttpApp, RouteSummary};
use super::config::{self, ConfigError, ExecutorConfig, HttpTrigger, Target};
use super::executor::OnDemand;
use super::parts::{AppParts, Endpoint, HttpComponent, Rest};
use super::router::{RouteError, RouteWarning, Router};
use super::static_response::{StaticResponse, StaticResponseError};
use crate::app::{AppError, Component, LockedApp};
use crate::loader::{ComponentError, LoadError, Trial};
use crate::runtime::Runtime;
use crate::trigger::command_guest::CommandError;
use crate::trigger::guest::{AppInput, Guest};

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

/// A version that is ready to be put behind a listener.
pub struct PreparedHttp {
    pub app: Arc<HttpApp>,
    /// For people.
    pub routes: Vec<RouteSummary>,
}

/// Links every component and instantiates it once, unless that has been done before in the same way: what can't start must
/// not replace what works. `rest`: what is made for that need not be held.
pub async fn prepare(
    runtime: &Runtime,
    plan: HttpPlan,
    input: &AppInput<'_>,
    rest: Option<Rest>,
) -> Result<PreparedHttp, PrepareError> {
    let app = HttpApp::new(input.id.clone(), input.requests.overruns.clone(), rest);
    let made = parts(runtime, &plan, input, &app)?;
    for warning in &made.warnings {
        match warning {
            RouteWarning::Twice(route) => {
                tracing::error!(
                    app = app.id(),
                    route,
                    "a route is declared twice: the later one is served"
                );
            }
            RouteWarning::Reserved(route) => {
                tracing::error!(
                    app = app.id(),
                    route,
                    "a route can't be reached: the host answers there"
                );
            }
        }
    }
    let routes = made.parts.routes();
    let mut was_tried = false;
    for Component { id, .. } in plan.components(input.app) {
        let (Some(prepared), Some(component)) = (input.components.get(id), made.parts.components.get(id))
        else {
            continue;
        };
        let HttpComponent { guest, executor } = component;
        let trial = Trial::of(executor.kind(), &prepared.settings);
        let passed = |trial: &Trial| prepared.loaded.has_passed(trial);
        if trial.as_ref().is_some_and(passed) {
            continue;
        }
        was_tried = true;
        try_instantiate(id, guest, executor).await?;
        if let Some(trial) = trial {
            executor.code().passed(trial).await;
        }
    }
    // What is new is likely to be asked for at once, unless thousands start together.
    if was_tried || app.holds_new_parts() {
        app.put(made.parts.into());
    }
    Ok(PreparedHttp { app, routes })
}

/// Makes the parts of a version that was prepared before.
pub fn make_again(
    runtime: &Runtime,
    plan: &HttpPlan,
    input: &AppInput<'_>,
    app: &HttpApp,
) -> Result<AppParts, PrepareError> {
    Ok(parts(runtime, plan, input, app)?.parts)
}

struct Made {
    parts: AppParts,
    warnings: Vec<RouteWarning>,
}

fn parts(
    runtime: &Runtime,
    plan: &HttpPlan,
    input: &AppInput<'_>,
    app: &HttpApp,
) -> Result<Made, PrepareError> {
    let (router, warnings, endpoints) = routes(plan)?;
    let mut components = HashMap::new();
    for component in plan.components(input.app) {
        let Some(prepared) = input.components.get(&component.id) else {
            continue;
        };
        let code = prepared.loaded.code.clone();
        let executor = OnDemand::new(runtime, &component.id, code, plan.executor(&component.id));
        let guest = prepared.guest(runtime, Some(app.local()), app.life()).into();
        components.insert(component.id.clone(), HttpComponent { guest, executor });
    }
    let parts = AppParts {
        name: input.app.name().to_owned(),
        version: input.app.version().map(str::to_owned),
        digest: input.digest.clone(),
        router,
        base_path: plan.base_path.clone(),
        endpoints: endpoints.into(),
        components,
        admission: Admission::new(input.requests.clone()),
        made: Instant::now(),
    };
    Ok(Made { parts, warnings })
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

fn routes(plan: &HttpPlan) -> Result<(Router, Vec<RouteWarning>, Vec<Endpoint>), PrepareError> {
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
    Ok((router, warnings, endpoints))
}

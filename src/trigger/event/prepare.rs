//! What is tried with each component before a version of an app takes the place of the one before it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre};

use crate::app::AppError;
use crate::loader::{self, ComponentError, LoadError};
use crate::runtime::{HostState, Runtime};
use crate::trigger::command_guest::CommandError;
use crate::trigger::guest::{AppInput, Guest, Life, PreparedComponent};
use crate::variables::{Template, VariableError, Variables};

/// How long the trial instance of each component may take to start.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Why an app's triggers can't be started.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Code(#[from] ComponentError),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("the component `{component}` {what}")]
    Export { component: String, what: String },
    #[error("the `{member}` of {owner} has no value")]
    Variable {
        owner: String,
        member: &'static str,
        source: VariableError,
    },
    #[error("the `{member}` of {owner} {what}")]
    Setting {
        owner: String,
        member: &'static str,
        what: String,
    },
    #[error("the component `{component}` can't be instantiated")]
    Instantiate {
        component: String,
        source: wasmtime::Error,
    },
    #[error("the component `{0}` did not start within {TRIAL_TIMEOUT:?}")]
    TrialTimeout(String),
    #[error("the component `{0}` was not loaded")]
    NotLoaded(String),
}

/// A component that has been linked, and what its instances are made with.
pub(in crate::trigger) struct Prepared {
    pub(in crate::trigger) guest: Arc<Guest>,
    pub(in crate::trigger) pre: InstancePre<HostState>,
    pub(in crate::trigger) component: Component,
}

/// The component `id`, loaded.
pub(in crate::trigger) fn component<'a>(
    input: &AppInput<'a>,
    id: &str,
) -> Result<&'a PreparedComponent, PrepareError> {
    let prepared = input.components.get(id);
    prepared.ok_or_else(|| PrepareError::NotLoaded(id.to_owned()))
}

/// Links the component `id`. Outside the HTTP trigger there is no way back to the app's own routes.
pub(in crate::trigger) async fn link(
    runtime: &Runtime,
    input: &AppInput<'_>,
    id: &str,
    life: &Life,
) -> Result<Prepared, PrepareError> {
    let prepared = component(input, id)?;
    let compiled = prepared.loaded.compiled().await?;
    let component = compiled.component(id)?;
    Ok(Prepared {
        pre: loader::link(runtime.linker(component), component, id)?,
        guest: prepared.guest(runtime, None, life).into(),
        component: component.clone(),
    })
}

/// Makes one instance and throws it away: what can't be instantiated must not replace what works.
pub(in crate::trigger) async fn try_instantiate(
    guest: &Guest,
    pre: &InstancePre<HostState>,
) -> Result<(), PrepareError> {
    in_time(&guest.settings.component, guest.try_instantiate(pre)).await
}

/// Waits for the trial instance of a component.
pub(in crate::trigger) async fn in_time(
    component: &str,
    trial: impl Future<Output = wasmtime::Result<()>>,
) -> Result<(), PrepareError> {
    let tried = tokio::time::timeout(TRIAL_TIMEOUT, trial).await;
    let tried = tried.map_err(|_| PrepareError::TrialTimeout(component.to_owned()))?;
    tried.map_err(|source| PrepareError::Instantiate {
        component: component.to_owned(),
        source,
    })
}

/// Fails for a component that does not export the function `name` by itself, outside any interface.
pub(in crate::trigger) fn world_function(
    component: &Component,
    id: &str,
    name: &str,
) -> Result<(), PrepareError> {
    let what = match component.get_export(None, name) {
        Some((ComponentItem::ComponentFunc(_), _)) => return Ok(()),
        Some(_) => format!("exports `{name}`, but not as a function"),
        None => {
            let ty = component.component_type();
            let exports: Vec<String> = ty
                .exports(component.engine())
                .map(|(export, _)| format!("`{export}`"))
                .collect();
            let exports = match exports.is_empty() {
                true => "nothing".to_owned(),
                false => exports.join(", "),
            };
            format!("does not export the function `{name}`; it exports {exports}")
        }
    };
    Err(PrepareError::Export {
        component: id.to_owned(),
        what,
    })
}

/// The text of a template, with the values of now: triggers ask once, when they start.
pub(in crate::trigger) async fn resolve(
    variables: &Variables,
    template: &Template,
    owner: &str,
    member: &'static str,
) -> Result<String, PrepareError> {
    let resolved = variables.resolve(template).await;
    resolved.map_err(|source| PrepareError::Variable {
        owner: owner.to_owned(),
        member,
        source,
    })
}

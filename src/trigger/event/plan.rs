//! The triggers of one kind, as the locked app gives them (`docs/contract/triggers.md §1`).

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::app::{AppError, Component, LockedApp};
use crate::variables::{Template, TemplateError};

/// What is wrong with an app's triggers of one kind.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    App(#[from] AppError),
    #[error("the {kind} trigger `{trigger}` has a configuration that is not understood")]
    Config {
        kind: &'static str,
        trigger: String,
        source: serde_json::Error,
    },
    #[error("the app's settings for {kind} triggers are not understood")]
    Settings {
        kind: &'static str,
        source: serde_json::Error,
    },
    #[error("the `{member}` of the app's settings for {kind} triggers {what}")]
    Setting {
        kind: &'static str,
        member: &'static str,
        what: &'static str,
    },
    #[error("the `{member}` of {owner} is no template")]
    Template {
        owner: String,
        member: &'static str,
        source: TemplateError,
    },
    #[error("the {kind} trigger `{trigger}`: {what}")]
    Invalid {
        kind: &'static str,
        trigger: String,
        what: String,
    },
    #[error(
        "the app has {kind} triggers, which this program was built without: build it with `--features {feature}`"
    )]
    NotBuilt {
        kind: &'static str,
        feature: &'static str,
    },
}

/// What every trigger config has.
pub(in crate::trigger) trait TriggerConfig: DeserializeOwned {
    const KIND: &'static str;

    /// The id of the component that is called.
    fn component(&self) -> &str;
}

/// The triggers of one kind, in the order of the locked app.
#[derive(Debug)]
pub(in crate::trigger) struct Configured<C> {
    /// Each with its id.
    pub(in crate::trigger) triggers: Vec<(String, C)>,
}

impl<C: TriggerConfig> Configured<C> {
    /// The components that have to be loaded: others are not looked at.
    pub(in crate::trigger) fn components<'a>(
        &'a self,
        app: &'a LockedApp,
    ) -> impl Iterator<Item = &'a Component> {
        app.components.iter().filter(|component| {
            let mut named = self.triggers.iter().map(|(_, config)| config.component());
            named.any(|id| id == component.id)
        })
    }
}

/// Reads all triggers of a kind, and refuses the app when it requires something of its host: for events, nothing is
/// supported.
pub(in crate::trigger) fn read_triggers<C: TriggerConfig>(
    app: &LockedApp,
) -> Result<Configured<C>, PlanError> {
    let mut triggers = Vec::new();
    for trigger in app.triggers_of(C::KIND)? {
        trigger.check_dependencies()?;
        let config = C::deserialize(&trigger.config).map_err(|source| PlanError::Config {
            kind: C::KIND,
            trigger: trigger.id.clone(),
            source,
        })?;
        app.component(config.component(), &trigger.id)?;
        triggers.push((trigger.id.clone(), config));
    }
    let configured = Configured { triggers };
    app.check_requirements(configured.components(app), &[])?;
    Ok(configured)
}

/// Reads the app's global settings for a kind.
pub(in crate::trigger) fn read_settings<S: DeserializeOwned>(
    app: &LockedApp,
    kind: &'static str,
) -> Result<S, PlanError> {
    S::deserialize(Value::Object(app.trigger_settings(kind)))
        .map_err(|source| PlanError::Settings { kind, source })
}

pub(in crate::trigger) fn invalid<C: TriggerConfig>(trigger: &str, what: impl Into<String>) -> PlanError {
    PlanError::Invalid {
        kind: C::KIND,
        trigger: trigger.to_owned(),
        what: what.into(),
    }
}

/// Parses the member of a trigger, or of the app's settings, that may be a template.
pub(in crate::trigger) fn template(
    owner: impl FnOnce() -> String,
    member: &'static str,
    text: &str,
) -> Result<Template, PlanError> {
    Template::parse(text).map_err(|source| PlanError::Template {
        owner: owner(),
        member,
        source,
    })
}

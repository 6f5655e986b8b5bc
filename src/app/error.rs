//! What can be wrong with a locked app.

/// Why an artifact's app can't be run. Each message names the part of the app, and what can be done.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("the artifact's locked app is not understood")]
    Json(#[from] serde_json::Error),
    #[error(
        "the locked app has version {0}; this host knows 0 and 1. Push the app with an older `spin`, or update the host"
    )]
    Version(u64),
    #[error("This version of Spin does not support the following features required by this application: {}", .0.join(", "))]
    Requirements(Vec<String>),
    #[error("two components have the id `{0}`: give each its own")]
    DuplicateComponent(String),
    #[error("the trigger `{trigger}` names the component `{component}`, which the app does not have")]
    NoSuchComponent { trigger: String, component: String },
    #[error(
        "the app has no trigger of a kind that this host runs; it has: {}", if .0.is_empty() { "none".into() } else { .0.join(", ") }
    )]
    NoTrigger(Vec<String>),
    #[error("{owner} has `{role}` dependencies that were not composed: push the app with `--compose`")]
    NotComposed { owner: String, role: String },
    #[error("the component `{component}`: {what}")]
    Component { component: String, what: String },
}

impl AppError {
    pub(super) fn component(component: &str, what: impl Into<String>) -> Self {
        Self::Component {
            component: component.into(),
            what: what.into(),
        }
    }
}

//! Why a component can't be given what it asks for.

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What is missing or wrong for a host interface of a component, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("the component `{component}`: {message}")]
pub struct InterfaceError {
    component: String,
    message: String,
    source: Option<BoxError>,
}

impl InterfaceError {
    /// `message` says the reason and the remedy.
    pub fn new(component: &str, message: impl Into<String>) -> Self {
        Self {
            component: component.into(),
            message: message.into(),
            source: None,
        }
    }

    /// With what went wrong below.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }
}

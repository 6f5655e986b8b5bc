//! Why an app could not be launched.

use std::path::PathBuf;

use crate::app::AppError;
use crate::control::{LaunchError, LaunchErrorKind};
use crate::loader::ComponentError;
use crate::oci::{DigestError, OciError};
use crate::trigger::http::{BindError, PrepareError};
use crate::variables::VariableError;

/// What failed between an app file and a running trigger; each layer says its own part.
#[derive(Debug, thiserror::Error)]
pub enum LaunchFailure {
    #[error(transparent)]
    Oci(#[from] OciError),
    #[error("the stored digest is not one")]
    Digest(#[source] DigestError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Variables(#[from] VariableError),
    #[error(transparent)]
    Component(#[from] ComponentError),
    #[error(transparent)]
    Http(#[from] PrepareError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("the state directory {} can't be created: choose another `state_dir` or --state-root", path.display())]
    StateDir { path: PathBuf, source: std::io::Error },
}

impl From<LaunchFailure> for LaunchError {
    fn from(failure: LaunchFailure) -> Self {
        let (kind, retry_after) = match &failure {
            LaunchFailure::Bind(error) if error.is_in_use() => (LaunchErrorKind::AddressInUse, None),
            LaunchFailure::Oci(error) => (LaunchErrorKind::Other, error.retry_after()),
            _ => (LaunchErrorKind::Other, None),
        };
        Self::new(kind, &failure).retry_after(retry_after)
    }
}

//! Why an app could not be launched.

use std::path::PathBuf;

use crate::app::AppError;
use crate::control::{LaunchError, LaunchErrorKind};
use crate::errors::{DESCRIPTORS_REMEDY, lacks_descriptors};
use crate::host::{BackupError, InterfaceError, PermissionError};
use crate::loader::ComponentError;
use crate::manifest::Address;
use crate::net::TlsError;
use crate::oci::{Digest, DigestError, OciError};
use crate::runtime_config::RuntimeConfigError;
use crate::sandbox::NotWritable;
use crate::trigger::http::tls;
use crate::trigger::http::{BindError, HealthError, PrepareError};
use crate::trigger::{self, PlanError};
use crate::variables::{ConfiguredProviderError, VariableError};

/// What failed between an app file and a running trigger; each layer says its own part.
#[derive(Debug, thiserror::Error)]
pub enum LaunchFailure {
    #[error(transparent)]
    Oci(#[from] OciError),
    #[error("the stored digest is not one")]
    Digest(#[source] DigestError),
    #[error("the locked app {0} is no longer in the store")]
    Gone(Digest),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Variables(#[from] VariableError),
    #[error(transparent)]
    Component(#[from] ComponentError),
    #[error(transparent)]
    Http(#[from] PrepareError),
    #[error("the component `{component}` has permissions that are not understood")]
    Permission {
        component: String,
        source: PermissionError,
    },
    #[error(transparent)]
    Provider(#[from] ConfiguredProviderError),
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    #[error("`client_tls` of the runtime configuration can't be used")]
    ClientTls(#[from] TlsError),
    #[error(transparent)]
    RuntimeConfig(#[from] RuntimeConfigError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(
        "the app has triggers of kinds that this host does not run: {unknown}; it runs {known}, and refuses the app as a whole rather than run a part of it"
    )]
    UnknownTriggers { unknown: String, known: String },
    #[error("the app has no trigger, so that nothing would ever start it")]
    NoTriggers,
    #[error(transparent)]
    TriggerPlan(#[from] PlanError),
    #[error(transparent)]
    Trigger(#[from] trigger::PrepareError),
    #[error(
        "the app has HTTP triggers, and its file has no address: add for instance \"address\": \"127.0.0.1:3000\""
    )]
    NoAddress,
    #[error("TLS, as the app file or --tls asks for it, can't be spoken")]
    Tls(#[from] tls::TlsError),
    #[error("the address of `redirect_from` can't be had")]
    Redirect(#[source] LaunchError),
    #[error(
        "`redirect_from` is {0}, which speaks TLS by --tls; plain http needs another, such as \"0.0.0.0:80\""
    )]
    RedirectFromTls(Address),
    #[error(transparent)]
    Health(#[from] HealthError),
    #[error("the app file has \"health\", and the app no HTTP trigger that could answer: remove it")]
    HealthWithoutHttp,
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    NotWritable(#[from] NotWritable),
    #[error("the state directory {} can't be created: choose another `state_dir` or --state-root", path.display())]
    StateDir { path: PathBuf, source: std::io::Error },
}

impl From<LaunchFailure> for LaunchError {
    fn from(failure: LaunchFailure) -> Self {
        let (kind, retry_after) = match &failure {
            LaunchFailure::Bind(error) if error.is_in_use() => (LaunchErrorKind::AddressInUse, None),
            failure if lacks_descriptors(failure) => {
                let mut error = Self::new(LaunchErrorKind::AddressInUse, failure);
                error.message = format!("{}: {DESCRIPTORS_REMEDY}", error.message);
                return error;
            }
            LaunchFailure::Oci(error) => (LaunchErrorKind::Other, error.retry_after()),
            _ => (LaunchErrorKind::Other, None),
        };
        Self::new(kind, &failure).retry_after(retry_after)
    }
}

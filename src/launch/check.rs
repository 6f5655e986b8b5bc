//! Whether an app could run, without serving it.

use std::sync::Arc;

use super::{AppLauncher, LaunchFailure};
use crate::control::{LaunchError, LaunchErrorKind};
use crate::manifest::{AppId, AppSpec};
use crate::net;
use crate::oci::Digest;
use crate::runtime_config::{RuntimeConfig, RuntimeConfigSource};

/// Something that an app file names and that is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalProblem {
    /// The member of the app file that names it.
    pub member: &'static str,
    /// In the words that a launch fails with.
    pub message: String,
}

/// What is wrong with the files that an app file names: those for TLS, and the runtime configuration with the files that it
/// names in turn. Nothing is fetched. Blocks on the disk.
pub fn local_problems(spec: &AppSpec) -> Vec<LocalProblem> {
    let problem = |member, message| LocalProblem { member, message };
    let tls = spec
        .tls
        .as_ref()
        .and_then(|tls| match net::check_certificates(&tls.server) {
            Ok(outlived) => outlived,
            Err(error) => Some(told(LaunchFailure::Tls(error.into()))),
        });
    let config = runtime_config(spec).err().map(told);
    let tls = tls.map(|message| problem("tls", message));
    let config = config.map(|message| problem("runtime_config", message));
    tls.into_iter().chain(config).collect()
}

fn runtime_config(spec: &AppSpec) -> Result<(), LaunchFailure> {
    let file;
    let config = match &spec.runtime_config {
        None => return Ok(()),
        Some(RuntimeConfigSource::Inline(config)) => &**config,
        Some(RuntimeConfigSource::File(path)) => {
            file = RuntimeConfig::read(path)?;
            &file
        }
    };
    for entry in &config.client_tls {
        super::clients::settings(entry).client_config()?;
    }
    Ok(())
}

fn told(failure: LaunchFailure) -> String {
    LaunchError::new(LaunchErrorKind::Other, &failure).message
}

impl AppLauncher {
    /// Fetches what an app file names, and does everything that comes before serving it: an app that would be refused at its
    /// start is refused here, in the same words. Nothing is asked of its health, and its own directory is not touched.
    ///
    /// # Errors
    /// Why it would not start.
    pub async fn check(&self, id: &AppId, spec: &Arc<AppSpec>) -> Result<Digest, LaunchError> {
        Box::pin(self.parts.try_out(id, spec))
            .await
            .map_err(LaunchError::from)
    }
}

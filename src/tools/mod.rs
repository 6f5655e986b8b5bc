//! What the commands do that work on files: the composition root where no daemon is needed.
//!
//! | file | what it does |
//! |---|---|
//! | `check.rs` | app files, and with `--pull` their artifacts, without serving them |
//! | `artifacts.rs` | one artifact into the cache; the cache itself |
//! | `login.rs` | credentials of registries |
//! | `init.rs` | a directory to begin with |
//!
//! Everything is printed by `cli`; nothing outlives the call.

mod artifacts;
mod check;
mod init;
mod login;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use crate::daemon;
use crate::oci::{Progress, Puller, PullerConfig, Store};
use crate::telemetry;

pub use artifacts::{prune, pull, usage, verify};
pub use check::{CheckedFile, Checking, Problem, TryOut, check};
pub use init::{Made, init_directory};
pub use login::{log_in, log_out};

pub use crate::oci::{Usage, registry_host};

/// Where artifacts come from and where they are kept, as a daemon is told.
#[derive(Debug, Clone, Default)]
pub struct ArtifactSettings {
    /// `None`: in the user's cache directory.
    pub cache_dir: Option<PathBuf>,
    pub registry_ca: Vec<PathBuf>,
    pub insecure_registries: Vec<String>,
}

impl ArtifactSettings {
    fn store(&self) -> Result<Store> {
        let directory = daemon::cache_directory(self.cache_dir.as_deref())?;
        Ok(Store::open(&directory)?)
    }

    fn puller(&self, store: Store, progress: Arc<dyn Progress>) -> Result<Puller> {
        let config = PullerConfig {
            insecure_registries: self.insecure_registries.clone(),
            registry_ca: self.registry_ca.clone(),
            progress,
            ..PullerConfig::default()
        };
        Ok(Puller::new(store, config)?)
    }
}

/// To be called before anything else here.
pub fn init() {
    telemetry::init_for_command();
    // The only provider of the process: without it, the first TLS connection would have to guess.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// For work that fills the disk: away from the async workers.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // It panicked, and goes on doing so here: nobody cancels it.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

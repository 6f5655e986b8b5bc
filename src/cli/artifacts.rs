//! The options for where artifacts come from and are kept.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::Bars;
use crate::oci::{LogProgress, Progress};
use crate::telemetry;
use crate::tools::ArtifactSettings;

#[derive(Debug, Args)]
pub(super) struct ArtifactArgs {
    /// Where artifacts and compiled code are kept, as tauon has it [default: lepton, in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    #[command(flatten)]
    registries: RegistryArgs,
}

#[derive(Debug, Args)]
pub(super) struct RegistryArgs {
    /// Certificates (PEM) to trust for registries, besides the system's; may be repeated
    #[arg(long, value_name = "FILE")]
    registry_ca: Vec<PathBuf>,
    /// A registry that is asked over plain http; may be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    insecure_registry: Vec<String>,
}

impl ArtifactArgs {
    pub(super) fn settings(self) -> ArtifactSettings {
        ArtifactSettings {
            cache_dir: self.cache_dir,
            ..self.registries.settings()
        }
    }
}

impl RegistryArgs {
    pub(super) fn settings(self) -> ArtifactSettings {
        ArtifactSettings {
            cache_dir: None,
            registry_ca: self.registry_ca,
            insecure_registries: self.insecure_registry,
        }
    }
}

/// Bars where standard error is a terminal.
pub(super) fn progress() -> Arc<dyn Progress> {
    match telemetry::bars() {
        Some(bars) => Arc::new(Bars::new(bars)),
        None => Arc::new(LogProgress),
    }
}

//! `tauon pull`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::artifacts::{ArtifactArgs, progress};
use super::command::print;
use crate::tools;

/// Fetch an artifact into the cache, and print its digest
///
/// An app that runs it later starts without waiting for the registry's content.
#[derive(Debug, Args)]
pub(super) struct PullArgs {
    /// As an app file names it; relative paths are relative to the working directory
    #[arg(value_name = "REFERENCE")]
    reference: String,
    #[command(flatten)]
    artifacts: ArtifactArgs,
}

impl PullArgs {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let digest = tools::pull(&self.reference, &self.artifacts.settings(), progress()).await?;
        print(digest);
        Ok(ExitCode::SUCCESS)
    }
}

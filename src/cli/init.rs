//! `tauon init`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::command::print;
use crate::tools;

/// Make a directory to begin with: an app file, its schema, and what the members mean
///
/// JSON has no comments: what they would say stands in README.md, and editors show it from .schema.json, which the app file names as
/// its "$schema". Nothing that is there is written over.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The directory; created if it is missing
    #[arg(value_name = "DIR", default_value = "watch-dir")]
    directory: PathBuf,
    /// Write the app file for this app [default: an example that is switched off, if there is no app file yet]
    #[arg(long, value_name = "REFERENCE")]
    reference: Option<String>,
}

impl InitArgs {
    pub(super) fn run(self) -> Result<ExitCode> {
        for file in tools::init_directory(&self.directory, self.reference.as_deref())? {
            let done = if file.written { "wrote" } else { "kept " };
            print(format_args!("{done} {}", file.path.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

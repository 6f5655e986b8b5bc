//! `tauon schema`.

use std::process::ExitCode;

use clap::Args;

use super::command::print_json;
use crate::manifest::{app_schema, list_schema};

/// Print the JSON Schema of app files
///
/// JSON Schema 2020-12. An app file that names it as its "$schema" is completed and explained by editors.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Of the list that lepton runs
    #[arg(long)]
    list: bool,
}

impl SchemaArgs {
    pub(super) fn run(self) -> ExitCode {
        print_json(&match self.list {
            true => list_schema(),
            false => app_schema(),
        });
        ExitCode::SUCCESS
    }
}

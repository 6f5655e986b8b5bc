//! `tauon check`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::artifacts::{ArtifactArgs, progress};
use super::command::{print, print_json};
use crate::tools::{self, CheckedFile, Checking, Problem, TryOut};

/// What is checked when nothing is named.
const DIRECTORY: &str = "watch-dir";
const LIST: &str = "lepton.json";

/// Check app files, without running them
///
/// Each file is read as the daemon reads it, and its mistakes are told in the same words: with line, column and what was
/// probably meant. All files together are looked at for claims of the same address, host and path. Files for TLS and runtime
/// configurations that they name are read too. With --pull, artifacts are fetched into the daemon's cache, and everything is
/// done that comes before an app is served: an app that the daemon would refuse is refused here.
///
/// The exit code is 1 when anything is wrong.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// App files, and directories of them [default: watch-dir; with --list: lepton.json]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The files are lists, as lepton runs them
    #[arg(long)]
    list: bool,
    /// Fetch each artifact too, and make sure that it could run
    #[arg(long)]
    pull: bool,
    /// Print JSON: [{"file": …, "problems": [{"line": …, "column": …, "message": …}]}]
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    artifacts: ArtifactArgs,
    /// With --pull: the daemon's runtime configuration
    #[arg(long, value_name = "FILE", env = "RUNTIME_CONFIG_FILE")]
    runtime_config: Option<PathBuf>,
    /// With --pull: the process's SPIN_VARIABLE_* are every app's, as the daemon may be told
    #[arg(long)]
    shared_variables: bool,
}

impl CheckArgs {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let default = if self.list { LIST } else { DIRECTORY };
        let paths = match self.files.is_empty() {
            true => vec![default.into()],
            false => self.files,
        };
        let try_out = TryOut {
            artifacts: self.artifacts.settings(),
            runtime_config: self.runtime_config,
            shared_variables: self.shared_variables,
            progress: progress(),
        };
        let checking = Checking {
            paths,
            lists: self.list,
            pull: self.pull.then_some(try_out),
        };
        let report = tools::check(checking).await?;
        match self.json {
            true => print_json(&report),
            false => report.iter().for_each(show),
        }
        let good = report.iter().all(|file| file.problems.is_empty());
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn show(CheckedFile { file, problems }: &CheckedFile) {
    let file = file.display();
    if problems.is_empty() {
        print(format_args!("{file}: ok"));
    }
    for problem in problems {
        let message = &problem.message;
        match problem {
            Problem {
                line: Some(line),
                column: Some(column),
                ..
            } => print(format_args!("{file}:{line}:{column}: {message}")),
            _ => print(format_args!("{file}: {message}")),
        }
    }
}

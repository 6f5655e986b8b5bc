//! `tauon diff`.

use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use super::args::DaemonArgs;
use super::command::{client, print, print_json};
use super::table;
use crate::admin::AdminError;
use crate::control::{Action, drafts, inspect, rehearse_alone};

/// What there is to do, as an exit code.
const SOMETHING: u8 = 2;

/// Show what the daemon would do with a directory as it is now
///
/// A dry run: the daemon compares the files with what it runs, by the same plan, and does nothing. The directory may be another
/// than the one that the daemon watches (name that one's socket with --socket): its files are read as if they stood there. Where no
/// daemon runs, everything would start. Whether a tag has moved in its registry is not asked.
///
/// The exit code is 0 when nothing would change, 2 when something would, and 1 when a file would be refused or on another error.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    #[command(flatten)]
    daemon: DaemonArgs,
    /// Print JSON: [{"app": …, "file": …, "action": …, "reason": …}]
    #[arg(long)]
    json: bool,
}

/// What would be done about one app.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    pub(super) app: String,
    /// `None`: there is none any more.
    pub(super) file: Option<PathBuf>,
    pub(super) action: Action,
    pub(super) reason: Option<String>,
}

impl DiffArgs {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let dir = &self.daemon.directory;
        let unlisted = || format!("can't list the directory {}", dir.display());
        // One file would be the whole directory, and everything else would have to stop.
        std::fs::read_dir(dir).with_context(unlisted)?;
        let apps = inspect(dir).with_context(unlisted)?;
        let files = drafts(&apps);
        let planned = match client(&self.daemon).plan(&files).await {
            Ok(planned) => planned,
            Err(AdminError::NoDaemon { socket, source }) if is_absent(source.kind()) => {
                // Standard error that is closed can't be told anything.
                let _ = writeln!(std::io::stderr(), "no daemon answers on {}", socket.display());
                rehearse_alone(&files, dir)
            }
            Err(error) => return Err(error.into()),
        };
        let file = |app: &str| {
            apps.iter()
                .find(|file| file.id.as_str() == app)
                .map(|file| file.path.clone())
        };
        let differences = planned.into_iter().map(|(app, planned)| Difference {
            file: file(&app),
            app,
            action: planned.action,
            reason: planned.reason,
        });
        let differences: Vec<Difference> = differences.collect();
        match self.json {
            true => print_json(&differences),
            false => print(table::differences(&differences)),
        }
        Ok(exit_code(&differences))
    }
}

fn is_absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

fn exit_code(differences: &[Difference]) -> ExitCode {
    let any = |wanted: fn(Action) -> bool| differences.iter().any(|difference| wanted(difference.action));
    match () {
        () if any(|action| action == Action::Refuse) => ExitCode::FAILURE,
        () if any(|action| action != Action::Keep) => ExitCode::from(SOMETHING),
        () => ExitCode::SUCCESS,
    }
}

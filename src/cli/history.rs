//! What served, and going back to it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};

use super::args::DaemonArgs;
use super::table::short_digest;
use crate::admin::{AdminClient, AdminError};
use crate::control::{History, RefusedVersion, VersionEnd};

/// The version before the one that serves.
const PREVIOUS: &str = "previous";

/// Show the versions of an app that have served, the newest first
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// The app: the name of its file without `.json`
    #[arg(value_name = "APP")]
    app: String,
    #[command(flatten)]
    daemon: DaemonArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Go back to a version of an app that served, until its file changes
///
/// The members of the app's file stay as they are; what its reference means is no longer asked. Returns when the version
/// serves; if it can't be had, nothing changes.
#[derive(Debug, Args)]
#[command(
    override_usage = "tauon rollback [OPTIONS] <APP> [VERSION] [DIR]\n       tauon rollback [OPTIONS] <APP> --undo [DIR]"
)]
pub(super) struct RollbackArgs {
    /// The app: the name of its file without `.json`
    #[arg(value_name = "APP")]
    app: String,
    /// Its number in the history, its digest or the beginning of that, or `previous`, the one before the one that serves
    #[arg(value_name = "VERSION", default_value = PREVIOUS)]
    version: String,
    /// The directory that the daemon watches, or the list that it runs [default: watch-dir]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Serve what the app's file asks for again
    #[arg(long)]
    undo: bool,
    /// The daemon's admin socket, if it was given one
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl HistoryArgs {
    pub(super) fn daemon(&self) -> &DaemonArgs {
        &self.daemon
    }

    pub(super) async fn run(&self, client: &AdminClient) -> Result<(), AdminError> {
        let history = client.history(&self.app).await?;
        let text = match self.json {
            true => serde_json::to_string_pretty(&history)?,
            false => render(&history),
        };
        print(&text);
        Ok(())
    }
}

impl RollbackArgs {
    pub(super) fn daemon(&self) -> DaemonArgs {
        // Where nothing is gone back to, the directory comes in the version's place.
        let in_its_place = (self.undo && self.version != PREVIOUS).then(|| PathBuf::from(&self.version));
        let directory = self.directory.clone().or(in_its_place);
        DaemonArgs {
            directory: directory.unwrap_or_else(|| DaemonArgs::DEFAULT_DIRECTORY.into()),
            socket: self.socket.clone(),
        }
    }

    pub(super) async fn run(&self, client: &AdminClient) -> Result<(), AdminError> {
        if self.undo {
            return client.undo_rollback(&self.app).await;
        }
        let pinned = client.roll_back(&self.app, Some(self.version.clone())).await?;
        print(&format!(
            "{} serves version {}, {}, until its file changes",
            self.app, pinned.version, pinned.digest
        ));
        Ok(())
    }
}

fn print(text: &str) {
    // A reader that has gone (`| head`) is no failure.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A row for each version, and below them what was refused.
fn render(history: &History) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["VERSION", "REFERENCE", "DIGEST", "SINCE", "UNTIL", "END"]);
    for version in &history.versions {
        let crashes = match version.crashes {
            0 => String::new(),
            crashes => format!(", crashed {crashes}x"),
        };
        let end = version.ended.map_or("serves", VersionEnd::as_str);
        table.add_row([
            version.version.to_string(),
            version.reference.clone(),
            short_digest(&version.digest).to_owned(),
            version.since.clone(),
            version.until.clone().unwrap_or_else(|| "-".to_owned()),
            format!("{end}{crashes}"),
        ]);
    }
    let earlier = history.versions.iter().flat_map(|version| &version.refused);
    let refused = history.refused.iter().chain(earlier).map(refusal);
    let mut text = table.trim_fmt();
    text.extend(refused);
    text
}

fn refusal(refused: &RefusedVersion) -> String {
    let what = refused.reference.as_deref().unwrap_or("the app's file");
    format!("\n\nrefused {}: {what}: {}", refused.at, refused.reason)
}

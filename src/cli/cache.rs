//! `tauon cache`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use bytesize::ByteSize;
use clap::{Args, Subcommand};

use super::artifacts::progress;
use super::command::{print, print_json};
use super::table;
use crate::tools::{self, ArtifactSettings};

/// Show what the cache holds, remove what is not needed, or find damage
///
/// Daemons that run go on undisturbed: what their apps need is not pruned, and nothing is removed while content is being added.
#[derive(Debug, Args)]
pub(super) struct CacheArgs {
    #[command(subcommand)]
    command: Option<CacheCommand>,
    /// The cache, as tauon has it [default: lepton, in the user's cache directory]
    #[arg(long, value_name = "DIR", global = true)]
    cache_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// Remove what was used least recently
    ///
    /// What a running or last good version of an app needs stays.
    Prune {
        /// How large the cache may be afterwards, as tauon's --cache-size
        #[arg(long, value_name = "SIZE", default_value = "10GiB", conflicts_with = "all")]
        size: ByteSize,
        /// Remove all that no app needs
        #[arg(long)]
        all: bool,
    },
    /// Hash everything, and remove what is damaged, so that it is fetched or made again when it is needed
    ///
    /// The exit code is 1 when anything was damaged. Mounted files that an app may be reading are told, and stay.
    Verify,
}

impl CacheArgs {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let settings = ArtifactSettings {
            cache_dir: self.cache_dir,
            ..ArtifactSettings::default()
        };
        match self.command {
            None => show(&settings, self.json).await,
            Some(CacheCommand::Prune { size, all }) => {
                prune(&settings, if all { 0 } else { size.as_u64() }, self.json).await
            }
            Some(CacheCommand::Verify) => verify(&settings, self.json).await,
        }
    }
}

async fn show(settings: &ArtifactSettings, json: bool) -> Result<ExitCode> {
    let usage = tools::usage(settings).await?;
    match json {
        true => print_json(&usage),
        false => print(table::usage(&usage)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn prune(settings: &ArtifactSettings, limit: u64, json: bool) -> Result<ExitCode> {
    let pruned = tools::prune(settings, limit).await?;
    match json {
        true => print_json(&pruned),
        false => print(format_args!(
            "removed {} entries, {}; {} left",
            pruned.removed,
            size(pruned.before - pruned.after),
            size(pruned.after)
        )),
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(settings: &ArtifactSettings, json: bool) -> Result<ExitCode> {
    let damages = tools::verify(settings, progress()).await?;
    if json {
        print_json(&damages);
    } else if damages.is_empty() {
        print("nothing is damaged");
    }
    if !json {
        for damage in &damages {
            let end = match &damage.kept {
                None => "removed".to_owned(),
                Some(reason) => format!("not removed: {reason}"),
            };
            print(format_args!(
                "{}: {}; {end}",
                damage.path.display(),
                damage.reason
            ));
        }
    }
    Ok(match damages.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

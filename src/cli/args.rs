//! The command lines of both binaries, and the settings they make.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};

use crate::daemon::{Settings, Source};
use crate::manifest::Limits;
use crate::trigger::http::HttpSettings;

/// Runs the Spin app of every JSON file in a directory.
///
/// Each `*.json` in DIR names an app: {"reference": "ghcr.io/me/app:v1", "address": "127.0.0.1:4001"}.
/// Drop a file in and its app is served; edit it and the app is redeployed; delete it and the app stops.
#[derive(Debug, Parser)]
#[command(name = "tauon", version, args_conflicts_with_subcommands = true)]
pub struct Tauon {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeDirectory,
}

/// Runs a fixed list of Spin apps.
///
/// FILE is {"apps": [ … ]}, whose entries have the members of tauon's app files. SIGHUP reads it again.
#[derive(Debug, Parser)]
#[command(name = "lepton", version)]
pub struct Lepton {
    /// The list of apps
    #[arg(value_name = "FILE", default_value = "lepton.json")]
    file: PathBuf,
    #[command(flatten)]
    options: ServeOptions,
}

#[derive(Debug, Args)]
struct ServeDirectory {
    /// The directory of app files; created if it is missing
    #[arg(value_name = "DIR", default_value = "watch-dir")]
    directory: PathBuf,
    /// How often the directory is read whole, as a safety net, and where the file system reports no changes
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    rescan_interval: Duration,
    #[command(flatten)]
    options: ServeOptions,
}

#[derive(Debug, Args)]
struct ServeOptions {
    /// Where relative `state_dir`s are; default: the working directory
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    state_root: PathBuf,
    /// Where artifacts and compiled code are kept, shared by all daemons of the user; may be deleted at any time
    /// [default: lepton, in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// How large the cache may grow; what a running or last good version needs is never removed
    #[arg(long, value_name = "SIZE", default_value = "10GiB")]
    cache_size: ByteSize,
    /// Where it is remembered what each reference meant, and the last good version of each app
    /// [default: lepton, in the user's state directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How long requests in flight may go on after an edit, a deletion or a signal; an app file may say otherwise
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    drain_timeout: Duration,
    /// Certificates (PEM) to trust for registries, besides the system's; may be repeated
    #[arg(long, value_name = "FILE")]
    registry_ca: Vec<PathBuf>,
    /// A registry that is asked over plain http; may be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    insecure_registry: Vec<String>,
    /// Give the process's SPIN_VARIABLE_* to every app
    #[arg(long)]
    shared_variables: bool,
    /// Spin's runtime configuration, for every app: stores, databases, providers of variables, networks. An app file's
    /// `runtime_config` goes before it
    #[arg(long, value_name = "FILE", env = "RUNTIME_CONFIG_FILE")]
    runtime_config: Option<PathBuf>,
    /// What each app may use: an object, or the file that holds one, such as {"memory": "128MiB", "request_time": "30s"}.
    /// An app file's `limits` goes before it, member by member
    #[arg(long, value_name = "JSON|FILE", value_parser = Limits::parse, default_value = "{}", hide_default_value = true)]
    limits: Limits,
    /// How long a client may take for the head of a request
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    header_timeout: Duration,
    /// The admin socket [default: one for each directory, in the user's runtime directory]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what a running tauon does: a row for each app file
    Status {
        #[command(flatten)]
        daemon: DaemonArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Print again at every change, until interrupted
        #[arg(long)]
        watch: bool,
    },
    /// Have an app's reference resolved again, and the app redeployed if it moved
    Redeploy {
        /// The app: the name of its file without `.json`
        #[arg(value_name = "APP")]
        app: String,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
}

#[derive(Debug, Args)]
pub(super) struct DaemonArgs {
    /// The directory that the daemon watches, or the list that it runs
    #[arg(value_name = "DIR", default_value = "watch-dir")]
    pub(super) directory: PathBuf,
    /// The daemon's admin socket, if it was given one
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
}

/// What `tauon` was asked to do.
pub enum TauonAction {
    Serve(Box<Settings>),
    Command(ClientCommand),
}

/// A command to a daemon that runs already.
pub struct ClientCommand(pub(super) Command);

impl Tauon {
    pub fn action(self) -> TauonAction {
        match self.command {
            Some(command) => TauonAction::Command(ClientCommand(command)),
            None => {
                let ServeDirectory {
                    directory,
                    rescan_interval,
                    options,
                } = self.serve;
                let source = Source::Directory {
                    path: directory,
                    rescan_interval,
                };
                TauonAction::Serve(Box::new(options.settings(source)))
            }
        }
    }
}

impl Lepton {
    pub fn settings(self) -> Settings {
        self.options.settings(Source::List(self.file))
    }
}

impl ServeOptions {
    fn settings(self, source: Source) -> Settings {
        Settings {
            source,
            state_root: self.state_root,
            cache_dir: self.cache_dir,
            cache_size: self.cache_size.as_u64(),
            data_dir: self.data_dir,
            drain_timeout: self.drain_timeout,
            registry_ca: self.registry_ca,
            insecure_registries: self.insecure_registry,
            shared_variables: self.shared_variables,
            runtime_config: self.runtime_config,
            limits: self.limits,
            socket: self.socket,
            http: HttpSettings {
                header_timeout: self.header_timeout,
            },
        }
    }
}

fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn both_command_lines_are_sound() {
        Tauon::command().debug_assert();
        Lepton::command().debug_assert();
    }
}

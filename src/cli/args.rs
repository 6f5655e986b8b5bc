//! The command lines of both binaries, and the settings they make.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};

use super::admin::AdminArgs;
use super::backup::BackupArgs;
use super::files::FileCommand;
use super::history::{HistoryArgs, RollbackArgs};
use super::log::LogArgs;
use super::logs::{GuestLogArgs, LogsArgs};
use super::tls::TlsArgs;
use super::trust::TrustArgs;
use crate::daemon::{Settings, Source};
use crate::manifest::Limits;
use crate::net::PeerNetwork;
use crate::sandbox::SandboxMode;
use crate::trigger::http::{AccessLogFormat, AccessLogSettings, AccessLogTarget, HttpSettings};

/// What stands for standard output in place of a file.
pub(super) const STDOUT: &str = "-";

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
    /// A file of options (TOML) by their long names. The command line goes before the environment (TAUON_DRAIN_TIMEOUT is
    /// `--drain-timeout`, of lepton LEPTON_DRAIN_TIMEOUT), and that before the file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where relative `state_dir`s are [default: apps, in the service's state directory; or the working directory]
    #[arg(long, value_name = "DIR")]
    state_root: Option<PathBuf>,
    /// Where artifacts and compiled code are kept, shared by all daemons of the user; may be deleted at any time
    /// [default: the service's cache directory; or lepton, in the user's]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// How large the cache may grow; what a running or last good version needs is never removed
    #[arg(long, value_name = "SIZE", default_value = "10GiB")]
    cache_size: ByteSize,
    /// Where it is remembered what each reference meant, and the last good version and the history of each app
    /// [default: data, in the service's state directory; or lepton, in the user's]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How long requests in flight may go on after an edit, a deletion or a signal; an app file may say otherwise
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    drain_timeout: Duration,
    /// At a signal to end: how long health checks fail, and all is served as before, until requests in flight are waited for
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    lame_duck: Duration,
    /// Certificates (PEM) to trust for registries, besides the system's; may be repeated
    #[arg(long, value_name = "FILE")]
    registry_ca: Vec<PathBuf>,
    /// A registry that is asked over plain http; may be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    insecure_registry: Vec<String>,
    #[command(flatten)]
    trust: TrustArgs,
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
    #[command(flatten)]
    http: HttpOptions,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    guest_log: GuestLogArgs,
    #[command(flatten)]
    tls: TlsArgs,
    /// The admin socket [default: admin.sock, in the service's runtime directory; or one for each directory, in the user's]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    admin: AdminArgs,
    /// Whether the process takes from itself what it does not need: writing outside its directories, running programs, rare
    /// system calls. `auto`: as far as the kernel can; `on`: all of it, or it does not start
    #[arg(long, value_name = "MODE", default_value = "auto")]
    sandbox: SandboxMode,
    /// A directory that apps may write with --sandbox, besides --state-root, such as an absolute `state_dir`; may be repeated
    #[arg(long, value_name = "DIR")]
    allow_write: Vec<PathBuf>,
    /// At SIGUSR2: how long the new process may take to serve all that this one does
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = some_time)]
    upgrade_timeout: Duration,
}

/// What holds for every address.
#[derive(Debug, Args)]
struct HttpOptions {
    /// How long a client may take for the head of a request
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = some_time)]
    header_timeout: Duration,
    /// How long a connection is kept that has no request
    #[arg(long, value_name = "DURATION", default_value = "75s", value_parser = some_time)]
    idle_timeout: Duration,
    /// How long a client may pause within a request's body before it is answered with 408
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = some_time)]
    body_timeout: Duration,
    /// Connections that each address has at once; one more is closed as soon as it is open [default: any number]
    #[arg(long, value_name = "NUMBER")]
    max_connections: Option<NonZeroUsize>,
    /// Connections that each client (of IPv6: a network of 64 bits) has at once at each address; those in --trusted-proxy and
    /// clients of Unix sockets are not counted [default: any number]
    #[arg(long, value_name = "NUMBER")]
    max_connections_per_client: Option<NonZeroUsize>,
    /// Where balancers are that begin each connection with a header of the PROXY protocol, version 1 or 2: a network, an
    /// address, or `unix` for those that connect to a Unix socket; may be repeated
    #[arg(long, value_name = "NETWORK")]
    proxy_protocol: Vec<PeerNetwork>,
    /// Where proxies are whose `Forwarded` and `X-Forwarded-*` headers are believed, written in the same way; from everybody
    /// else these headers are removed; may be repeated
    #[arg(long, value_name = "NETWORK")]
    trusted_proxy: Vec<PeerNetwork>,
    /// Write a line for each request to FILE, or to standard output; SIGHUP opens the file again
    #[arg(long, value_name = "FILE|-")]
    access_log: Option<PathBuf>,
    /// What these lines look like
    #[arg(long, value_name = "FORM", default_value = "common")]
    access_log_format: AccessLogFormat,
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
    Logs(LogsArgs),
    /// Have an app's reference resolved again, and the app redeployed if it moved
    Redeploy {
        /// The app: the name of its file without `.json`
        #[arg(value_name = "APP")]
        app: String,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    #[command(flatten)]
    Files(FileCommand),
    History(HistoryArgs),
    Rollback(RollbackArgs),
    Backup(BackupArgs),
}

#[derive(Debug, Args)]
pub(super) struct DaemonArgs {
    /// The directory that the daemon watches, or the list that it runs
    #[arg(value_name = "DIR", default_value = Self::DEFAULT_DIRECTORY)]
    pub(super) directory: PathBuf,
    /// The daemon's admin socket, if it was given one
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
}

impl DaemonArgs {
    pub(super) const DEFAULT_DIRECTORY: &str = "watch-dir";
}

/// What `tauon` was asked to do.
pub enum TauonAction {
    Serve(Box<Settings>),
    Command(ClientCommand),
}

/// A command: to a daemon that runs already, or one that needs none.
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
            config: self.config,
            state_root: self.state_root,
            cache_dir: self.cache_dir,
            cache_size: self.cache_size.as_u64(),
            data_dir: self.data_dir,
            drain_timeout: self.drain_timeout,
            lame_duck: self.lame_duck,
            registry_ca: self.registry_ca,
            insecure_registries: self.insecure_registry,
            policy: self.trust.policy(),
            shared_variables: self.shared_variables,
            runtime_config: self.runtime_config,
            limits: self.limits,
            socket: self.socket,
            log: self.log.settings(),
            guest_log: self.guest_log.settings(),
            admin_address: self.admin.settings(),
            sandbox: self.sandbox,
            allow_write: self.allow_write,
            upgrade_timeout: self.upgrade_timeout,
            tls: self.tls.options(),
            access_log: self.http.access_log(),
            http: self.http.settings(),
        }
    }
}

impl HttpOptions {
    fn access_log(&self) -> Option<AccessLogSettings> {
        let target = match self.access_log.as_ref()? {
            path if path == Path::new(STDOUT) => AccessLogTarget::Stdout,
            path => AccessLogTarget::File(path.clone()),
        };
        Some(AccessLogSettings {
            target,
            format: self.access_log_format,
        })
    }

    fn settings(self) -> HttpSettings {
        HttpSettings {
            header_timeout: self.header_timeout,
            idle_timeout: self.idle_timeout,
            body_timeout: self.body_timeout,
            max_connections: self.max_connections,
            max_connections_per_client: self.max_connections_per_client,
            proxy_protocol: self.proxy_protocol,
            trusted_proxies: self.trusted_proxy,
        }
    }
}

fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

fn some_time(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Ok(Duration::ZERO) => Err("no time at all: nobody would be served".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
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

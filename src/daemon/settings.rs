//! Everything the command line says.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::admin;
use crate::logs::GuestLogSettings;
use crate::manifest::{Address, Limits};
use crate::net::KeyPairFiles;
use crate::oci::Policy;
use crate::sandbox::SandboxMode;
use crate::telemetry::LogSettings;
use crate::trigger::http::{AccessLogSettings, HttpSettings};

/// Everything the command line says.
#[derive(Debug)]
pub struct Settings {
    pub source: Source,
    /// The file that options come from, besides the command line and the environment.
    pub config: Option<PathBuf>,
    pub state_root: Option<PathBuf>,
    pub cache_dir: Option<PathBuf>,
    /// Bytes.
    pub cache_size: u64,
    pub data_dir: Option<PathBuf>,
    pub drain_timeout: Duration,
    /// How long balancers have to see that the process will end.
    pub lame_duck: Duration,
    pub registry_ca: Vec<PathBuf>,
    pub insecure_registries: Vec<String>,
    /// What may run.
    pub policy: Policy,
    pub shared_variables: bool,
    /// For every app.
    pub runtime_config: Option<PathBuf>,
    /// For every app.
    pub limits: Limits,
    pub socket: Option<PathBuf>,
    /// Where others than the daemon's user may ask.
    pub admin_address: Option<admin::AddressSettings>,
    pub sandbox: SandboxMode,
    /// Where the process may write, besides its own directories.
    pub allow_write: Vec<PathBuf>,
    /// How long the new process of an upgrade may take until it is ready.
    pub upgrade_timeout: Duration,
    /// For every listener.
    pub http: HttpSettings,
    pub access_log: Option<AccessLogSettings>,
    pub guest_log: GuestLogSettings,
    pub log: LogSettings,
    pub tls: TlsOptions,
}

/// What the command line says of TLS.
#[derive(Debug)]
pub struct TlsOptions {
    /// Certificates for clients of apps that bring none of their own, by address.
    pub addresses: HashMap<Address, KeyPairFiles>,
    /// Where certificates are ordered; `None`: at Let's Encrypt.
    pub acme_directory: Option<String>,
    /// Whom the authority may write to, as URLs.
    pub acme_contact: Vec<String>,
    /// Authorities to trust when certificates are ordered, besides the system's.
    pub acme_ca: Option<PathBuf>,
}

/// Where the desired state comes from.
#[derive(Debug)]
pub enum Source {
    /// Every `*.json` in it is an app.
    Directory {
        path: PathBuf,
        rescan_interval: Duration,
    },
    /// A fixed list.
    List(PathBuf),
}

impl Source {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Directory { path, .. } | Self::List(path) => path,
        }
    }
}

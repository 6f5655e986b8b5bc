//! One app file: raw JSON to typed, once.
//!
//! | member | meaning | when left out |
//! |---|---|---|
//! | `reference` | where the artifact comes from, see [`Source`] | an error |
//! | `address` | where it is served, see [`Address`] | for apps without HTTP triggers |
//! | `host` | a name or a list of names that it answers for at its address, see [`HostPattern`](crate::net::HostPattern) | every host |
//! | `path` | the prefix of the paths that it answers for, see [`PathPrefix`](crate::net::PathPrefix) | every path |
//! | `strip_path` | `true`: the app does not see the prefix | `false` |
//! | `health` | a path that a new version has to answer with 2xx before it takes its place, see [`HealthCheck`] | none is asked |
//! | `state_dir` | its own directory, relative to the state root | the file's stem |
//! | `variables` | name to text, or to `{"file": PATH}` | none |
//! | `environment` | added to every component | none |
//! | `enabled` | `false` stops the app and frees its address | `true` |
//! | `drain_timeout` | how long requests in flight may take at a swap or stop | the daemon's |
//! | `pull` | `"always"`, `"if-not-present"`, or an interval such as `"5m"` | `"always"` |
//! | `runtime_config` | what stands behind its stores and databases: Spin's TOML file, or the same content | the daemon's |
//! | `timezone` | of its cron triggers' schedules | UTC |
//! | `limits` | what it may use, see [`Limits`] | the daemon's |
//! | `tls` | how it is met by TLS, see [`Tls`] | plain http |
//! | `$schema` | ignored | |
//!
//! Relative paths in it, but for `state_dir`, are relative to the file's directory.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::net::Site;
use crate::oci::Source;
use crate::runtime_config::RuntimeConfigSource;

pub use crate::variables::{Secret, Value as VariableValue};

mod address;
mod changes;
mod error;
mod health;
mod limits;
mod list;
mod place;
mod raw;
mod schema;
mod tls;
mod values;

pub use address::{Address, AddressError};
pub use error::ManifestError;
pub use health::HealthCheck;
pub use limits::{Limit, Limits, Rate};
pub use list::{ListEntry, parse_list};
pub use place::{Place, place_of};
pub use schema::{app_schema, list_schema};
pub use tls::Tls;
pub(crate) use tls::{contact as parse_acme_contact, directory as parse_acme_directory};

/// The name of one app: its file's stem, or the name of an entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AppId(Arc<str>);

impl AppId {
    /// An id of that name.
    pub fn new(name: &str) -> AppId {
        AppId(Arc::from(name))
    }

    /// The id of the app that this file describes: its stem.
    pub fn of_file(file: &Path) -> AppId {
        AppId::new(&file.file_stem().unwrap_or_default().to_string_lossy())
    }

    /// The name, for those who keep it.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }

    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one app file asks for. Equal specs need no redeploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSpec {
    /// Where the artifact comes from; shared by apps of one artifact.
    pub reference: Arc<Source>,
    /// Where it is served.
    pub address: Address,
    /// Which hosts and paths of the address are its own.
    pub site: Site,
    /// What a new version has to answer before it takes its place.
    pub health: Option<Box<HealthCheck>>,
    /// As written, or the app's id; relative to the state root.
    pub state_dir: PathBuf,
    /// Values for the app's variables.
    pub variables: BTreeMap<String, VariableValue>,
    /// Added to every component's environment.
    pub environment: BTreeMap<String, String>,
    /// `false`: stopped, and its address free.
    pub enabled: bool,
    /// How long requests in flight may take at a swap or stop; `None`: the daemon's setting.
    pub drain_timeout: Option<Duration>,
    /// When the reference is resolved again.
    pub pull: PullPolicy,
    /// What stands behind its stores and databases; over the daemon's.
    pub runtime_config: Option<RuntimeConfigSource>,
    /// Of its cron triggers' schedules; `None`: UTC.
    pub timezone: Option<chrono_tz::Tz>,
    /// What it may use; over the daemon's. `None`: the file says nothing.
    pub limits: Option<Box<Limits>>,
    /// How it is met by TLS; `None`: by plain http, or as the daemon's options say for its address.
    pub tls: Option<Box<Tls>>,
}

impl AppSpec {
    /// What it may use, where these are the daemon's limits.
    pub fn limits_over(&self, daemon: &Limits) -> Limits {
        match &self.limits {
            Some(own) => Limits::clone(own).over(daemon),
            None => daemon.clone(),
        }
    }
}

/// When a reference that may move (a tag, an image layout) is resolved again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullPolicy {
    /// In the background at each start and each edit.
    #[default]
    Always,
    /// Only when nothing is stored for it.
    IfNotPresent,
    /// At each start and edit, and then once in each such time.
    Every(Duration),
}

/// Reads one app file's text. `file` names it in errors, gives the app's id (its stem) and the base of relative paths.
///
/// # Errors
/// The first thing wrong with it, with its place in the file.
pub fn parse_app(text: &str, file: &Path) -> Result<AppSpec, ManifestError> {
    parse_text(text, file, &AppId::of_file(file))
}

/// Reads one app's text whose id is known: `state_dir`, left out, is the id.
///
/// # Errors
/// The first thing wrong with it, with its place in the text.
pub fn parse_text(text: &str, file: &Path, id: &AppId) -> Result<AppSpec, ManifestError> {
    // Some editors begin a file with a byte order mark, which JSON does not allow.
    let json = text.strip_prefix('\u{feff}').unwrap_or(text);
    raw::parse(json, base_dir(file), id).map_err(|e| ManifestError::invalid(file, json, &e))
}

fn base_dir(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests;

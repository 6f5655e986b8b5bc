//! What the process needs to write, and to run, as the sandbox is told.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Directories, Settings, Source};
use crate::manifest::Address;
use crate::oci::CredentialSources;
use crate::sandbox::{Rules, SandboxError};
use crate::trigger::http::AccessLogTarget;

/// Where SQLite and others put temporary files, besides `$TMPDIR`.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];
/// Where sockets of services are.
const RUNTIME: &str = "/run";

/// `log_dir`: that of the runtime configuration.
pub(super) fn rules(
    settings: &Settings,
    directories: &Directories,
    log_dir: Option<&Path>,
    program: &Path,
) -> Result<Rules> {
    let state_root = std::path::absolute(&directories.state_root)?;
    let own = [state_root, directories.data.clone(), directories.cache.clone()];
    for directory in &own {
        // What is not there can't be allowed. Whoever needs it says why it can't be made.
        let _ = std::fs::create_dir_all(directory);
    }
    let mut writable = Vec::from(own);
    if let Some(logs) = log_dir {
        let _ = std::fs::create_dir_all(logs);
        writable.push(logs.to_owned());
    }
    writable.push(std::env::temp_dir());
    writable.extend(TEMPORARY.map(PathBuf::from));
    for path in &settings.allow_write {
        let error = |source| SandboxError::AllowWrite {
            path: path.clone(),
            source,
        };
        writable.push(path.canonicalize().map_err(error)?);
    }
    let sources = match &settings.source {
        Source::Directory { path, .. } => Some(path.as_path()),
        Source::List(file) => file.parent(),
    };
    let admin = settings.admin_address.as_ref().map(|admin| &admin.address);
    let admin = admin.and_then(|address| match address {
        Address::Unix(path) => path.parent(),
        _ => None,
    });
    let sockets = [
        sources,
        directories.socket.parent(),
        admin,
        Some(Path::new(RUNTIME)),
    ];
    let sockets = sockets
        .into_iter()
        .flatten()
        .map(PathBuf::from)
        .chain(dirs::runtime_dir());
    let log = settings.access_log.as_ref().and_then(|log| match &log.target {
        AccessLogTarget::File(file) => std::path::absolute(file).ok()?.parent().map(PathBuf::from),
        AccessLogTarget::Stdout => None,
    });
    let directory = program.parent().context("this program is in no directory")?;
    let mut programs = vec![directory.to_owned()];
    if runs_helpers() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        programs.extend(std::env::split_paths(&path).filter(|directory| directory.is_absolute()));
    }
    Ok(Rules {
        writable,
        logs: log.into_iter().collect(),
        sockets: sockets
            .map(|path| std::path::absolute(&path).unwrap_or(path))
            .collect(),
        programs,
    })
}

/// Whether credentials come from programs: Docker's helpers, or what Amazon's configuration calls a `credential_process`.
fn runs_helpers() -> bool {
    let amazon = cfg!(feature = "aws") && {
        let home = dirs::home_dir().map(|home| home.join(".aws"));
        let file = |variable, name| {
            let named = std::env::var_os(variable).map(PathBuf::from);
            named.or_else(|| home.as_ref().map(|home| home.join(name)))
        };
        let files = [
            file("AWS_CONFIG_FILE", "config"),
            file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ];
        let texts = files
            .into_iter()
            .flatten()
            .filter_map(|file| std::fs::read_to_string(file).ok());
        texts.into_iter().any(|text| text.contains("credential_process"))
    };
    amazon || CredentialSources::from_env().names_helper()
}

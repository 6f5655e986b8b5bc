//! Where what outlives the process is kept, and what others find it by.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::Settings;
use crate::admin;
use crate::service::ServiceDirectories;

/// The name of this program's directories among those of others.
const PROGRAM: &str = "lepton";
/// Bytes of the source path's hash that name its directory below the data directory.
const SOURCE_NAME_BYTES: usize = 8;

/// Where what outlives the process is kept.
pub(super) struct Directories {
    pub(super) cache: PathBuf,
    /// Where relative `state_dir`s are.
    pub(super) state_root: PathBuf,
    /// The admin socket, and the one of the service's runtime directory, if there is that.
    pub(super) socket: PathBuf,
    pub(super) service_socket: Option<PathBuf>,
    /// This daemon's own, below the data directory: daemons of several sources may share that.
    pub(super) data: PathBuf,
}

impl Directories {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        let service = ServiceDirectories::from_environment();
        let data = match settings.data_dir.as_ref().or(service.data.as_ref()) {
            Some(directory) => directory.clone(),
            None => of_user(dirs::state_dir().or_else(dirs::data_local_dir), "--data-dir")?,
        };
        let source = std::path::absolute(settings.source.path())?;
        let name = hex::encode(&Sha256::digest(source.as_os_str().as_encoded_bytes())[..SOURCE_NAME_BYTES]);
        let state_root = settings.state_root.clone().or(service.state_root);
        let socket = settings.socket.clone().or_else(|| service.socket.clone());
        let socket = socket.unwrap_or_else(|| admin::default_socket(settings.source.path()));
        Ok(Self {
            state_root: state_root.unwrap_or_else(|| PathBuf::from(".")),
            socket,
            service_socket: service.socket,
            cache: cache_directory(settings.cache_dir.as_deref())?,
            data: std::path::absolute(data)?.join(name),
        })
    }
}

/// Where artifacts and compiled code are kept: as said, in the service's cache directory, or in the user's.
pub(crate) fn cache_directory(said: Option<&Path>) -> Result<PathBuf> {
    let service = ServiceDirectories::from_environment().cache;
    let directory = match said.map(Path::to_owned).or(service) {
        Some(directory) => directory,
        None => of_user(dirs::cache_dir(), "--cache-dir")?,
    };
    Ok(std::path::absolute(directory)?)
}

fn of_user(directory: Option<PathBuf>, option: &str) -> Result<PathBuf> {
    let directory = directory.with_context(|| format!("there is no home directory: say where with {option}"));
    directory.map(|directory| directory.join(PROGRAM))
}

//! Where the admin socket of a daemon is, and that none but its owner can open it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::net::{UnixListener, UnixStream};

use crate::net::remove_stale_socket;

/// Bytes of the watched path's hash that make the socket's name: enough to be unique among the daemons of a machine.
const NAME_BYTES: usize = 8;
/// A directory, and a socket, that only their owner may use.
const OWNER_DIRECTORY: u32 = 0o700;
const OWNER_SOCKET: u32 = 0o600;
/// What others may do with a directory.
const OTHERS: u32 = 0o077;

/// Why the admin socket can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("another daemon answers on {}: choose another with --socket", .0.display())]
    InUse(PathBuf),
    #[error("can't open the admin socket {}: choose another with --socket", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("the directory {} of the admin socket is not this user's alone: remove it, or say where with --socket", .0.display())]
    NotOwn(PathBuf),
}

/// The socket of the daemon that watches `watched`, unless it was told otherwise: the path's hash, in the user's runtime
/// directory or, without one, in a directory of the user's own below the temporary directory.
pub fn default_socket(watched: &Path) -> PathBuf {
    // A directory that does not exist yet has its name only.
    let watched = fs::canonicalize(watched).or_else(|_| std::path::absolute(watched));
    let watched = watched.unwrap_or_default();
    let hash = Sha256::digest(watched.as_os_str().as_encoded_bytes());
    let name = format!("{}.sock", hex::encode(&hash[..NAME_BYTES]));
    match dirs::runtime_dir() {
        Some(runtime) => runtime.join("lepton").join(name),
        None => std::env::temp_dir()
            .join(format!("lepton-{}", rustix::process::getuid().as_raw()))
            .join(name),
    }
}

/// Makes the directory of the default socket, or makes sure that it is this user's alone: anybody could have made it
/// first in a temporary directory that all share, and would then decide who opens the socket.
pub fn own_directory(socket: &Path) -> Result<(), SocketError> {
    let Some(directory) = socket.parent() else {
        return Ok(());
    };
    let error = |source| SocketError::Open {
        path: socket.into(),
        source,
    };
    make_directory(directory).map_err(error)?;
    let metadata = fs::symlink_metadata(directory).map_err(error)?;
    let own = metadata.is_dir()
        && metadata.uid() == rustix::process::getuid().as_raw()
        && metadata.mode() & OTHERS == 0;
    own.then_some(())
        .ok_or_else(|| SocketError::NotOwn(directory.into()))
}

/// Makes the directory of a socket that the operator chose, if it is missing.
pub fn make_directory_of(socket: &Path) -> Result<(), SocketError> {
    let missing = socket.parent().filter(|directory| !directory.exists());
    missing
        .map_or(Ok(()), make_directory)
        .map_err(|source| SocketError::Open {
            path: socket.into(),
            source,
        })
}

fn make_directory(directory: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(OWNER_DIRECTORY)
        .create(directory)
}

/// Listens on `path`. A socket file whose daemon is gone is replaced.
pub(super) async fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    let error = |source| SocketError::Open {
        path: path.into(),
        source,
    };
    make_directory_of(path)?;
    if UnixStream::connect(path).await.is_ok() {
        return Err(SocketError::InUse(path.into()));
    }
    remove_stale_socket(path).await.map_err(error)?;
    let listener = UnixListener::bind(path).map_err(error)?;
    fs::set_permissions(path, fs::Permissions::from_mode(OWNER_SOCKET)).map_err(error)?;
    Ok(listener)
}

/// The socket of `path` that the process before this one listened on.
pub(super) fn adopt(path: &Path, socket: net::UnixListener) -> Result<UnixListener, SocketError> {
    let adopted = socket
        .set_nonblocking(true)
        .and_then(|()| UnixListener::from_std(socket));
    adopted.map_err(|source| SocketError::Open {
        path: path.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        own_directory(&own.join("s")).unwrap();
        own_directory(&own.join("s")).unwrap();

        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        assert!(matches!(
            own_directory(&link.join("s")),
            Err(SocketError::NotOwn(_))
        ));
        fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(
            own_directory(&own.join("s")),
            Err(SocketError::NotOwn(_))
        ));
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes");
        fs::write(&path, "text").unwrap();
        assert!(matches!(listen(&path).await, Err(SocketError::Open { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }
}

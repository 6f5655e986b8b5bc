//! The files of listening Unix sockets.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::UnixStream;

/// The file of a socket that listens; removed with this value, unless another file has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
    /// Somebody else has the socket now.
    left: AtomicBool,
}

impl SocketFile {
    /// Of the socket that has just been bound to `path`.
    pub fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            identity: identity(path),
            left: AtomicBool::new(false),
        }
    }

    /// The file stays: its socket has another process, too.
    pub fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let left = *self.left.get_mut();
        if !left && self.identity.is_some() && identity(&self.path) == self.identity {
            // Whoever removed it first did what was wanted.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = path.symlink_metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Removes the socket file that a killed process left behind, which would keep its address for ever. A socket that
/// somebody listens on stays, and so does whatever is no socket: connecting to a plain file is refused as well.
pub async fn remove_stale_socket(path: &Path) -> io::Result<()> {
    let is_socket = path
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn only_a_socket_without_a_listener_is_stale() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        remove_stale_socket(&path).await.unwrap();
        std::fs::write(&path, "somebody's notes").unwrap();
        remove_stale_socket(&path).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's notes");

        std::fs::remove_file(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        remove_stale_socket(&path).await.unwrap();
        assert!(path.exists());
        drop(listener);
        remove_stale_socket(&path).await.unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_file_is_removed_but_not_its_successor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let old = UnixListener::bind(&path).unwrap();
        let old_file = SocketFile::of(&path);
        std::fs::remove_file(&path).unwrap();
        let _new = UnixListener::bind(&path).unwrap();
        let new_file = SocketFile::of(&path);
        drop(old_file);
        drop(old);
        assert!(path.exists());
        drop(new_file);
        assert!(!path.exists());
    }
}

//! One daemon for one directory, or one list.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Holds the lock until it is dropped, or the process ends in any way.
///
/// The lock lies on the directory (or the list file) itself: nothing is left behind that could be stale.
#[derive(Debug)]
pub struct SourceLock {
    file: File,
}

/// Why the lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon has it.
    #[error(
        "{} is already served by another process; stop that one, or give this one another directory or list",
        path.display()
    )]
    Taken {
        /// The directory or the list.
        path: PathBuf,
    },
    /// It can't be opened or locked.
    #[error("{} can't be locked; check that it exists and may be read", path.display())]
    Io {
        /// The directory or the list.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl AsFd for SourceLock {
    /// What another process needs to hold it as well.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl SourceLock {
    /// The lock that another process has taken, and holds as well: it is free when both have ended.
    pub fn shared(lock: OwnedFd) -> SourceLock {
        SourceLock { file: lock.into() }
    }

    /// Takes the lock of a watched directory or a list file.
    ///
    /// # Errors
    /// [`LockError::Taken`] at once when another process has it.
    pub fn take(path: &Path) -> Result<SourceLock, LockError> {
        let io = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(SourceLock { file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(e)) => Err(io(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_which_directory_is_taken_and_gets_it_after_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = SourceLock::take(dir.path()).unwrap();
        let refusal = SourceLock::take(dir.path()).unwrap_err().to_string();
        assert!(refusal.contains(&dir.path().display().to_string()), "{refusal}");
        assert!(refusal.contains("stop that one"), "{refusal}");
        drop(first);
        SourceLock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_missing_list_is_an_error_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let error = SourceLock::take(&dir.path().join("lepton.json")).unwrap_err();
        assert!(matches!(error, LockError::Io { .. }));
    }
}

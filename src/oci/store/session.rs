//! One process's directory for half-written content, and the sweeping of dead processes' ones.
//!
//! A session holds a lock on a file in its directory for as long as it lives; the kernel ends that lock with the
//! process, however it ends. A directory whose lock is free belongs to nobody.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use super::{StoreError, lock, make_dir};

const DIR: &str = "tmp";
/// Held while sessions begin and sweep, so that none is swept between its creation and its lock.
const GATE: &str = "gate";
const ALIVE: &str = "alive";

#[derive(Debug)]
pub(super) struct Session {
    dir: TempDir,
    /// Locked for as long as the session lives.
    alive: Mutex<File>,
}

impl Session {
    pub(super) fn begin(root: &Path) -> Result<Session, StoreError> {
        let parent = root.join(DIR);
        make_dir(&parent)?;
        let gate = lock::open_or_create(&parent.join(GATE))?;
        gate.lock().map_err(StoreError::io("lock", parent.join(GATE)))?;
        sweep(&parent)?;
        let dir = tempfile::Builder::new()
            .prefix(&format!("{}-", std::process::id()))
            .tempdir_in(&parent)
            .map_err(StoreError::io("create a directory in", &parent))?;
        let alive = Mutex::new(hold(dir.path())?);
        Ok(Session { dir, alive })
    }

    /// Makes the directory again when somebody has deleted it with the whole store.
    pub(super) fn revive(&self) -> Result<(), StoreError> {
        // Nothing panics while it is held.
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.dir.path().join(ALIVE).exists() {
            make_dir(self.dir.path())?;
            *alive = hold(self.dir.path())?;
        }
        Ok(())
    }

    /// Whether other sessions live.
    pub(super) fn has_others(&self) -> bool {
        let parent = self.dir.path().parent().unwrap_or(Path::new(""));
        let Ok(entries) = std::fs::read_dir(parent) else {
            return false;
        };
        let others = entries.flatten().map(|entry| entry.path());
        others
            .filter(|path| path != self.dir.path())
            .any(|path| path.is_dir() && owner_lives(&path))
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// The sign that a session's directory is somebody's.
fn hold(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(ALIVE);
    let alive = lock::open_or_create(&path)?;
    alive.lock().map_err(StoreError::io("lock", &path))?;
    Ok(alive)
}

fn sweep(parent: &Path) -> Result<(), StoreError> {
    let entries = std::fs::read_dir(parent).map_err(StoreError::io("list", parent))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if !path.is_dir() {
            continue;
        }
        if owner_lives(&path) {
            continue;
        }
        tracing::debug!(path = %path.display(), "sweeping half-written content of a dead process");
        if let Err(error) = std::fs::remove_dir_all(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot sweep half-written content");
        }
    }
    Ok(())
}

fn owner_lives(session: &Path) -> bool {
    let alive = OpenOptions::new().write(true).open(session.join(ALIVE));
    alive.is_ok_and(|file| file.try_lock().is_err())
}

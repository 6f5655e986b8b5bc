//! The store's one lock: adding and pinning hold it shared, pruning exclusively.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::{Store, StoreError};

/// Holds off pruning, in this and every other process, for as long as it lives.
///
/// Take it before looking what is present, and keep it until what was found or added is pinned: then nothing
/// disappears in between. Do not keep it longer; a store that is never free is never pruned.
#[derive(Debug)]
pub struct Lease {
    // Closing the file ends the lock.
    _file: File,
}

impl Lease {
    pub(super) fn take(store: &Store) -> Result<Lease, StoreError> {
        let path = path(store.root());
        let file = open_or_create(&path)?;
        file.lock_shared().map_err(StoreError::io("lock", &path))?;
        Ok(Lease { _file: file })
    }
}

/// The lock for pruning; `None` while anyone adds or pins.
pub(super) fn try_exclusive(store: &Store) -> Result<Option<File>, StoreError> {
    let path = path(store.root());
    let file = open_or_create(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(StoreError::io("lock", &path)(e)),
    }
}

pub(super) fn create(root: &Path) -> Result<(), StoreError> {
    open_or_create(&path(root)).map(drop)
}

pub(super) fn open_or_create(path: &Path) -> Result<File, StoreError> {
    // Never truncated or removed: a lock on a file that was replaced would exclude nobody. Readable for a shared lock
    // and writable for an exclusive one, as network file systems demand.
    let mut options = OpenOptions::new();
    options.create(true).read(true).write(true).truncate(false);
    options.open(path).map_err(StoreError::io("create", path))
}

fn path(root: &Path) -> PathBuf {
    root.join("lock")
}

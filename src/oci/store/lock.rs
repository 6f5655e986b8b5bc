//! The store's one lock: adding and pinning hold it shared, pruning exclusively.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Store, StoreError};

/// Holds off pruning, in this and every other process, for as long as it lives.
///
/// Take it before looking what is present, and keep it until what was found or added is pinned: then nothing
/// disappears in between. Do not keep it longer; a store that is never free is never pruned.
#[derive(Debug)]
pub struct Lease {
    // Closing the file ends the lock.
    _file: Arc<File>,
}

/// The process's leases of one store: all that live at a time hold one lock. The kernel looks through all who hold a lock when one more
/// takes it, and at a start thousands of apps do.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<Weak<File>>);

impl Leases {
    pub(super) fn take(&self, root: &Path) -> Result<Lease, StoreError> {
        // Nothing panics while it is held. Who waits for it waits for the same prune as its holder.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let path = path(root);
        if let Some(file) = held.upgrade()
            && is_at(&file, &path)
        {
            return Ok(Lease { _file: file });
        }
        let file = open_or_create(&path)?;
        file.lock_shared().map_err(StoreError::io("lock", &path))?;
        let file = Arc::new(file);
        *held = Arc::downgrade(&file);
        Ok(Lease { _file: file })
    }
}

/// Whether it is still the file that others lock: a cache is anybody's to empty.
fn is_at(file: &File, path: &Path) -> bool {
    let id = |of: std::io::Result<Metadata>| of.ok().map(|of| (of.dev(), of.ino()));
    let here = id(file.metadata());
    here.is_some() && here == id(std::fs::metadata(path))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_hold_one_lock_until_the_last_of_them_ends() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let is_free = || try_exclusive(&store).unwrap().is_some();
        let (first, second) = (store.lease().unwrap(), store.lease().unwrap());
        assert!(Arc::ptr_eq(&first._file, &second._file));
        drop(first);
        assert!(!is_free());
        drop(second);
        assert!(is_free());
        let _next = store.lease().unwrap();
        assert!(!is_free());
    }

    #[test]
    fn a_lease_after_the_cache_was_emptied_locks_what_others_see() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let _before = store.lease().unwrap();
        std::fs::remove_file(path(root.path())).unwrap();
        let _after = store.lease().unwrap();
        assert!(try_exclusive(&store).unwrap().is_none());
    }
}

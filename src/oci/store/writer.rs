//! Content on its way into the store: hashed while written, bounded, visible only when verified.

use std::fs::{File, Permissions};
use std::io::{Read, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::super::digest::Digest;
use super::{Store, StoreError};

/// Content never changes, and trees hard-link it: nobody may write to it.
const BLOB_MODE: u32 = 0o444;
/// Bytes copied at a time from a reader.
pub(super) const COPY_CHUNK: usize = 256 * 1024;
/// Contents that are committed in one batch; each is an open file.
pub(crate) const BATCH: usize = 64;
/// Syncs of a batch that run at once.
const PARALLEL_SYNCS: usize = 16;

/// A blob being written. Dropping it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct BlobWriter {
    store: Store,
    file: NamedTempFile,
    hash: Sha256,
    written: u64,
    limit: u64,
}

/// Bytes that have the digest they were asked for, not yet in the store.
#[derive(Debug)]
pub(crate) struct Verified {
    store: Store,
    file: NamedTempFile,
    digest: Digest,
}

impl BlobWriter {
    pub(super) fn new(store: Store, limit: u64) -> Result<BlobWriter, StoreError> {
        store.revive()?;
        let dir = store.scratch();
        let file = NamedTempFile::new_in(dir).map_err(StoreError::io("create a file in", dir))?;
        Ok(BlobWriter {
            store,
            file,
            hash: Sha256::new(),
            written: 0,
            limit,
        })
    }

    /// How many bytes it holds.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.written + bytes.len() as u64;
        if written > self.limit {
            return Err(StoreError::TooLarge { limit: self.limit });
        }
        self.file
            .write_all(bytes)
            .map_err(StoreError::io("write", self.file.path()))?;
        self.hash.update(bytes);
        self.written = written;
        Ok(())
    }

    /// Writes all of `reader`; its own errors come back as the outer result's.
    pub(crate) fn copy(&mut self, mut reader: impl Read) -> std::io::Result<Result<(), StoreError>> {
        let mut chunk = vec![0; COPY_CHUNK];
        loop {
            let length = match reader.read(&mut chunk) {
                Ok(0) => return Ok(Ok(())),
                Ok(length) => length,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if let Err(e) = self.write(&chunk[..length]) {
                return Ok(Err(e));
            }
        }
    }

    /// Forgets all that was written.
    pub(crate) fn restart(&mut self) -> Result<(), StoreError> {
        let path = self.file.path().to_owned();
        let file = self.file.as_file_mut();
        file.set_len(0)
            .and_then(|()| file.rewind())
            .map_err(StoreError::io("truncate", path))?;
        self.hash = Sha256::new();
        self.written = 0;
        Ok(())
    }

    /// Ends the content, which must have the digest `expected`.
    pub(crate) fn finish(self, expected: &Digest) -> Result<Verified, StoreError> {
        let verified = self.finish_unnamed();
        if verified.digest != *expected {
            return Err(StoreError::Mismatch {
                expected: *expected,
                actual: verified.digest,
            });
        }
        Ok(verified)
    }

    /// Ends content whose digest nobody has told.
    pub(crate) fn finish_unnamed(self) -> Verified {
        Verified {
            store: self.store,
            file: self.file,
            digest: Digest::finish(self.hash),
        }
    }
}

impl Verified {
    /// What it is.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Makes it visible in the store under its digest, durably.
    pub(crate) fn commit(self) -> Result<Digest, StoreError> {
        let path = self.store.path(&self.digest);
        let file = self.file.as_file();
        file.set_permissions(Permissions::from_mode(BLOB_MODE))
            .and_then(|()| file.sync_all())
            .map_err(StoreError::io("sync", self.file.path()))?;
        self.file
            .persist(&path)
            .map_err(|e| StoreError::io("rename into place", &path)(e.error))?;
        Ok(self.digest)
    }

    /// Commits many small ones. Their syncs run side by side, since the file system does those at one cost: a site of
    /// thousands of files would otherwise wait for the disk thousands of times.
    pub(crate) fn commit_all(batch: &mut Vec<Verified>) -> Result<(), StoreError> {
        let work = Mutex::new(std::mem::take(batch));
        let next = || work.lock().unwrap_or_else(PoisonError::into_inner).pop();
        std::thread::scope(|scope| {
            let commit_some = || {
                while let Some(content) = next() {
                    content.commit()?;
                }
                Ok(())
            };
            let workers: Vec<_> = (0..PARALLEL_SYNCS).map(|_| scope.spawn(commit_some)).collect();
            workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }

    /// The bytes, from their start, without keeping them in the store.
    pub(crate) fn into_file(self) -> Result<File, StoreError> {
        let path = self.file.path().to_owned();
        let mut file = self.file.into_file();
        file.rewind().map_err(StoreError::io("rewind", path))?;
        Ok(file)
    }
}

impl Store {
    /// Writes a small file of the store's own whole or not at all.
    pub(crate) fn write_whole(&self, path: &std::path::Path, bytes: &[u8]) -> Result<(), StoreError> {
        self.revive()?;
        let dir = self.scratch();
        let mut file = NamedTempFile::new_in(dir).map_err(StoreError::io("create a file in", dir))?;
        file.write_all(bytes)
            .and_then(|()| file.as_file().sync_all())
            .map_err(StoreError::io("write", file.path()))?;
        file.persist(path)
            .map_err(|e| StoreError::io("rename into place", path)(e.error))?;
        Ok(())
    }
}

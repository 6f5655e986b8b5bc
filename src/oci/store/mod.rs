//! The content store: verified bytes by digest, below the cache directory, shared by all apps and by all daemons.
//!
//! ```text
//! blobs/sha256/<hex>   content, read-only files; their names are their hashes
//! signatures/<hex>     good signatures of an artifact (`oci/trust`)
//! archives/<hex>       which blobs an archive layer was unpacked into (`oci/unpack.rs`)
//! trees/… code/… compiled/…   what `loader` makes of content; the store only counts and prunes it
//! pins/<owner>/<name>  what a version needs, see [`Store::pin`]
//! tmp/<session>/       half-written content of one process, gone with it
//! lock                 held shared by those who add and pin, exclusively by [`Store::prune`]
//! ```
//!
//! Two daemons may share one store: content appears by rename and is the same whoever wrote it.
//! Everything here blocks on the disk; async callers use a blocking task.

mod lock;
mod pins;
mod prune;
mod session;
mod usage;
mod verify;
mod writer;

use std::fs::{DirBuilder, File, FileTimes};
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

pub use lock::Lease;
use lock::Leases;
pub use pins::Pin;
pub use prune::Pruned;
pub use usage::{AreaUsage, Usage};
pub use verify::Damage;
pub(crate) use verify::damage_of_blob;
pub(crate) use writer::{BATCH, BlobWriter, Verified};

use super::digest::Digest;
use session::Session;

/// Below the store's root.
const BLOBS: &str = "blobs/sha256";
const ARCHIVES: &str = "archives";
const SIGNATURES: &str = "signatures";
/// Artifacts may be private: the store is its owner's alone.
const DIR_MODE: u32 = 0o700;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Content is not what its digest says. A stored blob in that state has been removed, so that it is fetched again.
    #[error("content of {expected} has the digest {actual}")]
    Mismatch {
        /// What it should have been.
        expected: Digest,
        /// What it is.
        actual: Digest,
    },
    /// Content is longer than allowed.
    #[error("content is longer than {limit} bytes")]
    TooLarge {
        /// Bytes.
        limit: u64,
    },
    /// A pin that names a path outside the store.
    #[error("a pin may not name {0:?}: it must be a relative path below the store")]
    BadPin(PathBuf),
}

impl StoreError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> StoreError {
        let path = path.into();
        move |source| StoreError::Io { action, path, source }
    }
}

/// A handle on the content store; clones share it.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    session: Session,
    leases: Leases,
}

impl Store {
    /// Opens the store at `root`, creating it, and sweeps away what dead processes left half-written.
    ///
    /// # Errors
    /// When a directory or lock file can't be made.
    pub fn open(root: &Path) -> Result<Store, StoreError> {
        make_dirs(root)?;
        lock::create(root)?;
        let session = Session::begin(root)?;
        Ok(Store(Arc::new(Inner {
            root: root.to_owned(),
            session,
            leases: Leases::default(),
        })))
    }

    /// The store's directory. `loader` keeps its trees and code in directories of their own below it.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// A directory on the same file system for half-made files and trees; swept when this process is gone.
    pub fn scratch(&self) -> &Path {
        self.0.session.dir()
    }

    /// Where the blob is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.0.root.join(BLOBS).join(digest.hex())
    }

    /// Whether the blob is here. `size` (bytes) is what its descriptor says: a blob of another size is hashed, and
    /// removed if it is damaged. It is not removed because a descriptor lies: other apps may need it.
    pub fn contains(&self, digest: &Digest, size: Option<u64>) -> bool {
        let path = self.path(digest);
        let Ok(metadata) = path.symlink_metadata() else {
            return false;
        };
        let looks_right = match size {
            Some(size) => metadata.len() == size,
            // A crash before the data reached the disk leaves an empty file.
            None => metadata.len() > 0,
        };
        if metadata.is_file() && (looks_right || hash_file(&path).is_ok_and(|actual| actual == *digest)) {
            return true;
        }
        tracing::warn!(%digest, bytes = metadata.len(), expected = size, "damaged blob removed from the store");
        drop(std::fs::remove_file(&path));
        false
    }

    /// The blob's bytes, verified; `None` when it is not here.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`] for a damaged blob, which is then removed.
    pub fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(digest);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::io("open", path)(e)),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(StoreError::io("read", &path))?;
        let actual = Digest::of(&bytes);
        if actual != *digest {
            drop(std::fs::remove_file(&path));
            return Err(StoreError::Mismatch {
                expected: *digest,
                actual,
            });
        }
        mark_used(&file);
        Ok(Some(bytes))
    }

    /// Adds `bytes` and returns their digest. Nothing is written when they are here already.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if self.contains(&digest, Some(bytes.len() as u64)) {
            self.touch(&digest);
        } else {
            let mut writer = self.writer(bytes.len() as u64)?;
            writer.write(bytes)?;
            writer.finish(&digest)?.commit()?;
        }
        Ok(digest)
    }

    /// Notes that the blob is in use, for pruning the least recently used first.
    pub fn touch(&self, digest: &Digest) {
        touch(&self.path(digest));
    }

    /// Begins a blob of at most `limit` bytes.
    pub(crate) fn writer(&self, limit: u64) -> Result<BlobWriter, StoreError> {
        BlobWriter::new(self.clone(), limit)
    }

    /// Where the list of an archive layer's blobs is.
    pub(crate) fn archive_list(&self, layer: &Digest) -> PathBuf {
        self.0.root.join(ARCHIVES).join(layer.hex())
    }

    /// Where the signatures of an artifact are.
    pub(crate) fn signatures(&self, artifact: &Digest) -> PathBuf {
        self.0.root.join(SIGNATURES).join(artifact.hex())
    }

    /// Holds off pruning for as long as the lease lives. Waits while a prune is running.
    ///
    /// # Errors
    /// When a directory can't be made, or the lock file can't be locked.
    pub fn lease(&self) -> Result<Lease, StoreError> {
        self.revive()?;
        self.0.leases.take(self.root())
    }

    /// Makes the directories again that somebody has deleted under this process: a cache is anybody's to empty.
    fn revive(&self) -> Result<(), StoreError> {
        make_dirs(&self.0.root)?;
        self.0.session.revive()
    }
}

/// Notes that a file or tree below the store is in use.
///
/// The access time alone is set: a blob's hard links in trees show their modification time to guests.
pub fn touch(path: &Path) {
    if let Ok(file) = File::open(path) {
        mark_used(&file);
    }
}

fn hash_file(path: &Path) -> std::io::Result<Digest> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut chunk = vec![0; writer::COPY_CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            length => hash.update(&chunk[..length]),
        }
    }
    Ok(Digest::finish(hash))
}

fn mark_used(file: &File) {
    // Not being able to (a read-only or foreign file) costs no more than a worse choice when pruning.
    drop(file.set_times(FileTimes::new().set_accessed(SystemTime::now())));
}

fn make_dirs(root: &Path) -> Result<(), StoreError> {
    [BLOBS, ARCHIVES, SIGNATURES, pins::DIR]
        .iter()
        .try_for_each(|dir| make_dir(&root.join(dir)))
}

fn make_dir(path: &Path) -> Result<(), StoreError> {
    // Mostly it is there, which takes the kernel less than to refuse to make it.
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(path)
        .map_err(StoreError::io("create the directory", path))
}

#[cfg(test)]
mod tests;

//! The few things done to files here: content appears by rename, whole or not at all.

use std::fs::{DirBuilder, File, FileTimes, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::error::LoadError;

/// Content may be private: the store is its owner's alone.
const DIR_MODE: u32 = 0o700;
/// Content is never changed in place.
const FILE_MODE: u32 = 0o400;
/// Bytes read at a time while hashing.
const CHUNK: usize = 256 * 1024;

/// Makes the directory and its parents; one that is there is fine.
pub(super) fn make_dir(path: &Path) -> Result<(), LoadError> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(path)
        .map_err(LoadError::io("create directory", path))
}

/// Makes `path` hold `bytes`, replacing what is there. `scratch` is on the same file system. The directories may have been
/// deleted since they were opened: a cache is anybody's to empty.
pub(super) fn write(scratch: &Path, path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    for dir in [Some(scratch), path.parent()].into_iter().flatten() {
        make_dir(dir)?;
    }
    let mut file =
        tempfile::NamedTempFile::new_in(scratch).map_err(LoadError::io("create a file in", scratch))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().set_permissions(Permissions::from_mode(FILE_MODE)))
        .map_err(LoadError::io("write", file.path()))?;
    file.persist(path)
        .map_err(|e| LoadError::io("rename a file to", path)(e.error))?;
    Ok(())
}

/// The lower-case hexadecimal sha256 of the file's content.
pub(super) fn sha256_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&chunk[..read]);
    }
}

/// Notes that the file or directory is in use. A failure only makes it look older to pruning.
pub(super) fn touch(path: &Path) {
    let now = SystemTime::now();
    if let Ok(file) = File::open(path) {
        drop(file.set_times(FileTimes::new().set_accessed(now).set_modified(now)));
    }
}

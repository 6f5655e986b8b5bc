//! Pruning: the least recently used goes first, what is pinned never.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{ARCHIVES, BLOBS, SIGNATURES, Store, StoreError, lock};

/// Directories whose direct children are entries: a file, or a tree as a whole.
pub(super) const AREAS: [&str; 6] = [BLOBS, ARCHIVES, SIGNATURES, "trees", "code", "compiled"];

/// What a prune did. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Pruned {
    /// Size of the store before.
    pub before: u64,
    /// Size of the store after.
    pub after: u64,
    /// How many entries were removed.
    pub removed: usize,
    /// Nothing was done, since someone is adding content: try again later.
    pub busy: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// Relative to the root.
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    used: SystemTime,
}

impl Store {
    /// Removes what was used least recently until the store holds at most `limit` bytes, or only pinned content is left.
    ///
    /// # Errors
    /// When the pins or a directory can't be read; then nothing is removed.
    pub fn prune(&self, limit: u64) -> Result<Pruned, StoreError> {
        let Some(_lock) = lock::try_exclusive(self)? else {
            return Ok(Pruned {
                busy: true,
                ..Pruned::default()
            });
        };
        let mut entries = self.entries()?;
        let before = entries.iter().map(|entry| entry.bytes).sum();
        let mut pruned = Pruned {
            before,
            after: before,
            ..Pruned::default()
        };
        if before <= limit {
            return Ok(pruned);
        }
        let pinned = self.pinned()?;
        entries.retain(|entry| !pinned.protects(&entry.path));
        entries.sort_by(|a, b| a.used.cmp(&b.used).then_with(|| a.path.cmp(&b.path)));
        for entry in entries {
            if pruned.after <= limit {
                break;
            }
            let path = self.root().join(&entry.path);
            match remove(&path) {
                Ok(()) => {
                    pruned.after -= entry.bytes;
                    pruned.removed += 1;
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "cannot prune an entry of the store")
                }
            }
        }
        tracing::info!(
            before = pruned.before,
            after = pruned.after,
            removed = pruned.removed,
            limit,
            "content store pruned"
        );
        Ok(pruned)
    }

    pub(super) fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        // A blob and its hard links in trees are one piece of disk: the first one met is charged.
        let mut inodes = HashSet::new();
        for area in AREAS {
            let dir = self.root().join(area);
            if !dir.is_dir() {
                continue;
            }
            for child in std::fs::read_dir(&dir).map_err(StoreError::io("list", &dir))? {
                let path = child.map_err(StoreError::io("list", &dir))?.path();
                // Gone since it was listed: no entry any more.
                let Ok(metadata) = path.symlink_metadata() else {
                    continue;
                };
                let relative = Path::new(area).join(path.file_name().unwrap_or_default());
                let bytes = size(&path, &metadata, &mut inodes);
                entries.push(Entry {
                    path: relative,
                    bytes,
                    used: last_used(&metadata),
                });
            }
        }
        Ok(entries)
    }
}

fn size(path: &Path, metadata: &Metadata, inodes: &mut HashSet<(u64, u64)>) -> u64 {
    if !metadata.is_dir() {
        let counted_before = metadata.nlink() > 1 && !inodes.insert((metadata.dev(), metadata.ino()));
        return if counted_before { 0 } else { metadata.len() };
    }
    let Ok(children) = std::fs::read_dir(path) else {
        return 0;
    };
    let sizes = children.flatten().filter_map(|child| {
        let metadata = child.path().symlink_metadata().ok()?;
        Some(size(&child.path(), &metadata, inodes))
    });
    sizes.sum()
}

fn last_used(metadata: &Metadata) -> SystemTime {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    metadata
        .accessed()
        .map_or(modified, |accessed| accessed.max(modified))
}

pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    }
}

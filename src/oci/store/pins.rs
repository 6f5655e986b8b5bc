//! Pins: what must survive pruning, by owner and name.
//!
//! An owner is a daemon (its data directory); a name is the owner's own, such as an app and "running" or "last good".
//! A pin is a file of lines, each a digest or a path relative to the store's root. A digest protects everything that
//! bears it as its name in any of the store's directories: the blob, the list of an archive, compiled code, a tree.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use super::super::digest::Digest;
use super::{Store, StoreError, make_dir};

pub(super) const DIR: &str = "pins";
/// Longer names are replaced by their hash: file systems end at 255 bytes.
const LONGEST_NAME: usize = 180;

/// One thing that a pin protects.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pin {
    /// Whatever bears this digest as its name.
    Digest(Digest),
    /// A file or tree, relative to the store's root, such as `trees/<name>`.
    Path(PathBuf),
}

impl From<Digest> for Pin {
    fn from(digest: Digest) -> Pin {
        Pin::Digest(digest)
    }
}

impl From<&Digest> for Pin {
    fn from(digest: &Digest) -> Pin {
        Pin::Digest(*digest)
    }
}

/// Everything that any pin protects.
#[derive(Debug, Default)]
pub(super) struct Pinned {
    names: HashSet<String>,
    /// With every path the directories above it: a pinned file keeps the tree that it is in.
    paths: HashSet<PathBuf>,
}

impl Pinned {
    /// Whether the entry at `path` (relative to the root) must stay.
    pub(super) fn protects(&self, path: &Path) -> bool {
        let stem = path.file_name().map(|name| name.to_string_lossy());
        let named = stem.is_some_and(|name| {
            self.names.contains(name.as_ref())
                || name
                    .split_once('.')
                    .is_some_and(|(stem, _)| self.names.contains(stem))
        });
        named || self.paths.contains(path)
    }
}

impl Store {
    /// Protects `items` from pruning until [`Store::unpin`]; replaces what `owner` pinned by that `name` before.
    ///
    /// # Errors
    /// An item whose path leaves the store, or a file that can't be written.
    pub fn pin(&self, owner: &str, name: &str, items: &[Pin]) -> Result<(), StoreError> {
        // Against a prune that has read the pins already; callers hold a lease of their own for what they pin.
        let _lease = self.lease()?;
        let mut text = String::new();
        for item in items {
            // Writing to a String cannot fail.
            let _ = match item {
                Pin::Digest(digest) => writeln!(text, "{digest}"),
                Pin::Path(path) if is_inside(path) => writeln!(text, "{}", path.display()),
                Pin::Path(path) => return Err(StoreError::BadPin(path.clone())),
            };
        }
        let file = self.owner_dir(owner).join(file_name(name));
        // As an earlier process left it: a restart of many apps writes nothing.
        if std::fs::read(&file).is_ok_and(|pinned| pinned == text.as_bytes()) {
            return Ok(());
        }
        make_dir(&self.owner_dir(owner))?;
        self.write_whole(&file, text.as_bytes())
    }

    /// Ends a pin; one that does not exist is no error.
    ///
    /// # Errors
    /// When the file can't be removed.
    pub fn unpin(&self, owner: &str, name: &str) -> Result<(), StoreError> {
        remove(&self.owner_dir(owner).join(file_name(name)))
    }

    /// Ends all pins of `owner` but those of the names in `keep`: what an earlier run of it left.
    ///
    /// # Errors
    /// When a file can't be removed.
    pub fn retain_pins<'n>(
        &self,
        owner: &str,
        keep: impl IntoIterator<Item = &'n str>,
    ) -> Result<(), StoreError> {
        let keep: HashSet<String> = keep.into_iter().map(file_name).collect();
        for path in list(&self.owner_dir(owner))? {
            if path
                .file_name()
                .is_some_and(|name| !keep.contains(name.to_string_lossy().as_ref()))
            {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Reads every pin of every owner. One that can't be read is an error: pruning must not guess.
    pub(super) fn pinned(&self) -> Result<Pinned, StoreError> {
        let mut pinned = Pinned::default();
        for owner in list(&self.root().join(DIR))? {
            for path in list(&owner)? {
                let text = match std::fs::read_to_string(&path) {
                    Ok(text) => text,
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                    Err(e) => return Err(StoreError::io("read", path)(e)),
                };
                for line in text.lines() {
                    match Digest::parse(line) {
                        Ok(digest) => drop(pinned.names.insert(digest.hex())),
                        Err(_) => pinned
                            .paths
                            .extend(Path::new(line).ancestors().map(Path::to_owned)),
                    }
                }
            }
        }
        Ok(pinned)
    }

    fn owner_dir(&self, owner: &str) -> PathBuf {
        self.root().join(DIR).join(file_name(owner))
    }
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    match std::fs::read_dir(dir) {
        Ok(entries) => entries
            .map(|entry| entry.map(|e| e.path()).map_err(StoreError::io("list", dir)))
            .collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(StoreError::io("list", dir)(e)),
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("remove", path)(e)),
        _ => Ok(()),
    }
}

fn is_inside(path: &Path) -> bool {
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    plain && path.components().next().is_some() && !path.to_string_lossy().contains('\n')
}

/// Any text as a file name: what is not plain is written `%XX`.
fn file_name(text: &str) -> String {
    let mut name = String::new();
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            b'.' if index > 0 => name.push('.'),
            // Writing to a String cannot fail.
            _ => drop(write!(name, "%{byte:02X}")),
        }
    }
    if name.is_empty() || name.len() > LONGEST_NAME {
        return format!("%{}", Digest::of(text.as_bytes()).hex());
    }
    name
}

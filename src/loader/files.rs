//! A component's mounted files, as one directory tree, `docs/contract/oci.md` §3.
//!
//! Trees are kept below the store's root as `trees/<sha256 of the list>`: apps with the same files share one, and a restart
//! builds nothing. A tree's files are hard links to the store's blobs where the file system allows, so they must never
//! be opened for writing.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::disk;
use super::error::LoadError;

/// Below the store's root.
pub(super) const TREES: &str = "trees";

/// One file of a tree.
#[derive(Clone, Debug)]
pub(super) struct FileEntry {
    /// Relative, with forward slashes. Backslashes are read as slashes: archives pushed from Windows have them.
    pub path: String,
    /// What is in it.
    pub content: FileContent,
}

/// Where a file's bytes are.
#[derive(Clone, Debug)]
pub(super) enum FileContent {
    /// Here.
    Inline(Vec<u8>),
    /// In the content store.
    Blob {
        /// The blob's file.
        file: PathBuf,
        /// The digest of its content, which the store has verified.
        digest: String,
    },
}

/// The read-only directory that holds exactly `entries`; `scratch` is a directory on the file system of the store's
/// `root`, which somebody else sweeps. Equal lists get the same directory; a tree that lost files is built again. Safe
/// for several processes on one store. Blocks on the disk.
///
/// # Errors
/// [`LoadError::BadMount`] for a path that is not relative and normal, and for paths that exclude each other;
/// [`LoadError::Io`], also for a blob that is not there.
pub(super) fn materialise(root: &Path, scratch: &Path, entries: &[FileEntry]) -> Result<PathBuf, LoadError> {
    let files = plan(entries)?;
    let trees = root.join(TREES);
    let tree = trees.join(key(&files));
    if tree.is_dir() && is_whole(&tree, &files) {
        disk::touch(&tree);
        return Ok(tree);
    }
    disk::make_dir(&trees)?;
    disk::make_dir(scratch)?;
    let built = tempfile::Builder::new()
        .prefix("tree-")
        .tempdir_in(scratch)
        .map_err(LoadError::io("create a directory in", scratch))?;
    build(built.path(), &files)?;
    publish(scratch, built, &tree, &files)?;
    Ok(tree)
}

type Files<'a> = BTreeMap<PathBuf, &'a FileContent>;

/// Checks the paths against the rules and each other.
fn plan(entries: &[FileEntry]) -> Result<Files<'_>, LoadError> {
    let mut files = Files::new();
    for entry in entries {
        let bad = |reason| LoadError::BadMount {
            path: entry.path.clone(),
            reason,
        };
        let path = normal_path(&entry.path).map_err(bad)?;
        if let Some(other) = files.get(&path)
            && content_key(other) != content_key(&entry.content)
        {
            return Err(bad("another file has the same path"));
        }
        files.insert(path, &entry.content);
    }
    for path in files.keys() {
        // The last ancestor is the empty path.
        if let Some(file) = path.ancestors().skip(1).find(|a| files.contains_key(*a)) {
            return Err(LoadError::BadMount {
                path: path.display().to_string(),
                reason: if file.as_os_str().is_empty() {
                    "it is empty"
                } else {
                    "one of its directories is a file"
                },
            });
        }
    }
    Ok(files)
}

fn normal_path(text: &str) -> Result<PathBuf, &'static str> {
    let text = text.replace('\\', "/");
    if text.contains('\0') {
        return Err("it contains a NUL character");
    }
    let bytes = text.as_bytes();
    if bytes.len() > 1 && bytes[1] == b':' && bytes[0].is_ascii_alphabetic() {
        return Err("it names a drive");
    }
    let mut path = PathBuf::new();
    for component in Path::new(&text).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => return Err("it contains `..`"),
            Component::CurDir => return Err("it begins with `.`"),
            Component::RootDir | Component::Prefix(_) => return Err("it is absolute"),
        }
    }
    if path.as_os_str().is_empty() {
        return Err("it is empty");
    }
    Ok(path)
}

/// Inline content is hashed here rather than believed: two apps that claim one digest must not share a tree.
fn content_key(content: &FileContent) -> String {
    match content {
        FileContent::Inline(bytes) => format!("sha256:{}", hex::encode(Sha256::digest(bytes))),
        FileContent::Blob { digest, .. } => digest.clone(),
    }
}

fn key(files: &Files<'_>) -> String {
    let mut hash = Sha256::new();
    for (path, content) in files {
        for part in [
            path.as_os_str().as_encoded_bytes(),
            content_key(content).as_bytes(),
        ] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hex::encode(hash.finalize())
}

/// Whether a tree has the files and the content that its name says.
pub(super) fn is_undamaged(tree: &Path) -> bool {
    let mut contents = BTreeMap::new();
    let name = tree.file_name().map(|name| name.to_string_lossy());
    hash_all(tree, Path::new(""), &mut contents).is_ok() && {
        let files = contents.iter().map(|(path, content)| (path.clone(), content));
        name.is_some_and(|name| name == key(&files.collect()))
    }
}

fn hash_all(tree: &Path, below: &Path, contents: &mut BTreeMap<PathBuf, FileContent>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(tree.join(below))? {
        let entry = entry?;
        let (path, file) = (below.join(entry.file_name()), entry.path());
        if entry.file_type()?.is_dir() {
            hash_all(tree, &path, contents)?;
            continue;
        }
        let digest = format!("sha256:{}", disk::sha256_of(&file)?);
        contents.insert(path, FileContent::Blob { file, digest });
    }
    Ok(())
}

/// A crash before the data reached the disk leaves files of another length.
fn is_whole(tree: &Path, files: &Files<'_>) -> bool {
    files.iter().all(|(path, content)| {
        let expected = match content {
            FileContent::Inline(bytes) => Some(bytes.len() as u64),
            FileContent::Blob { file, .. } => file.metadata().ok().map(|m| m.len()),
        };
        tree.join(path)
            .symlink_metadata()
            .is_ok_and(|m| m.is_file() && expected.is_none_or(|length| m.len() == length))
    })
}

fn build(dir: &Path, files: &Files<'_>) -> Result<(), LoadError> {
    for (path, content) in files {
        let to = dir.join(path);
        if let Some(parent) = to.parent() {
            disk::make_dir(parent)?;
        }
        match content {
            FileContent::Inline(bytes) => disk::write(dir, &to, bytes)?,
            // Another file system, or too many links to one inode.
            FileContent::Blob { file, .. } => std::fs::hard_link(file, &to)
                .or_else(|_| std::fs::copy(file, &to).map(drop))
                .map_err(LoadError::io("copy a mounted file from", file))?,
        }
    }
    Ok(())
}

/// Renames the built tree into place. When another process was faster its tree is as good; a damaged one is replaced.
fn publish(
    scratch: &Path,
    built: tempfile::TempDir,
    tree: &Path,
    files: &Files<'_>,
) -> Result<(), LoadError> {
    let mut renamed = std::fs::rename(built.path(), tree);
    if renamed.is_err() && tree.is_dir() {
        if is_whole(tree, files) {
            return Ok(());
        }
        tracing::warn!(path = %tree.display(), "damaged tree of mounted files replaced");
        let grave = tempfile::tempdir_in(scratch).map_err(LoadError::io("create a directory in", scratch))?;
        std::fs::rename(tree, grave.path().join("tree")).map_err(LoadError::io("move away", tree))?;
        renamed = std::fs::rename(built.path(), tree);
    }
    match renamed {
        Ok(()) => {
            // It has moved: there is nothing left to remove under the old name.
            let _moved = built.keep();
            Ok(())
        }
        Err(_) if tree.is_dir() && is_whole(tree, files) => Ok(()),
        Err(error) => Err(LoadError::io("rename a tree to", tree)(error)),
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;

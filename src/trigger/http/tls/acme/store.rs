//! What is kept of an authority: one directory for each, of the accounts there and a file for each name.

use std::fs::{DirBuilder, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::error::OrderError;

/// Bytes of a hash that make a name.
const NAME_BYTES: usize = 8;
/// Only the owner: keys are in it.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// What is kept of one authority.
#[derive(Debug, Clone)]
pub(super) struct Store {
    directory: PathBuf,
}

impl Store {
    /// Below `root`, by the URL of the authority.
    pub(super) fn of(root: &Path, url: &str) -> Self {
        Self {
            directory: root.join(short_hash(url)),
        }
    }

    /// A chain and its key, in one file, so that they always belong together.
    pub(super) fn certificate(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.pem"))
    }

    /// The credentials of an account; its contacts are a part of what it is.
    pub(super) fn account(&self, contact: &[String]) -> PathBuf {
        self.directory
            .join(format!("account-{}.json", short_hash(&contact.join(" "))))
    }
}

fn short_hash(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..NAME_BYTES])
}

/// Writes a file whole, then renames it into place. Blocks on the disk.
pub(super) fn write(path: &Path, content: &str) -> Result<(), OrderError> {
    let written = || {
        let directory = path.parent().unwrap_or(Path::new(""));
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)?;
        let mut file = NamedTempFile::new_in(directory)?;
        file.as_file()
            .set_permissions(Permissions::from_mode(FILE_MODE))?;
        file.write_all(content.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        std::fs::File::open(directory)?.sync_all()
    };
    written().map_err(|source| OrderError::Store {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_whole_and_its_owners_alone() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::of(root.path(), "https://ca.example/directory");
        let path = store.certificate("a.example");
        for content in ["one", "two"] {
            write(&path, content).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 1);
        assert_ne!(
            path,
            Store::of(root.path(), "https://other.example/").certificate("a.example")
        );
    }
}

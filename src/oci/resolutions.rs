//! What each reference meant when it was last asked: durable, so that a restart waits for no registry.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::digest::Digest;
use super::reference::Source;

/// A directory with one small file for each reference. A cheap handle; every method blocks on the disk.
#[derive(Debug, Clone)]
pub struct Resolutions {
    directory: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Resolution {
    reference: String,
    digest: Digest,
}

impl Resolutions {
    /// # Errors
    /// When the directory can't be made.
    pub fn open(directory: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        Ok(Self {
            directory: directory.into(),
        })
    }

    /// The digest that the reference meant. A file that can't be read is none: the reference is asked again.
    pub fn get(&self, source: &Source) -> Option<Digest> {
        let text = std::fs::read(self.file(source)).ok()?;
        let resolution: Resolution = serde_json::from_slice(&text).ok()?;
        (resolution.reference == source.qualified()).then_some(resolution.digest)
    }

    /// Remembers what the reference means now.
    ///
    /// # Errors
    /// When the file can't be written; what stood there before still does.
    pub fn put(&self, source: &Source, digest: Digest) -> std::io::Result<()> {
        if self.get(source) == Some(digest) {
            return Ok(());
        }
        let resolution = Resolution {
            reference: source.qualified(),
            digest,
        };
        let mut file = NamedTempFile::new_in(&self.directory)?;
        serde_json::to_writer(&mut file, &resolution)?;
        file.flush()?;
        file.as_file().sync_all()?;
        file.persist(self.file(source))?;
        Ok(())
    }

    fn file(&self, source: &Source) -> PathBuf {
        self.directory
            .join(Digest::of(source.qualified().as_bytes()).hex())
            .with_extension("json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_there_after_a_restart_and_damage_is_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let source = Source::parse("example.org/a:v1", Path::new("")).unwrap();
        let digest = Digest::of(b"manifest");
        Resolutions::open(directory.path())
            .unwrap()
            .put(&source, digest)
            .unwrap();
        let again = Resolutions::open(directory.path()).unwrap();
        assert_eq!(again.get(&source), Some(digest));
        assert_eq!(
            again.get(&Source::parse("example.org/a:v2", Path::new("")).unwrap()),
            None
        );
        std::fs::write(again.file(&source), "{").unwrap();
        assert_eq!(again.get(&source), None);
    }
}

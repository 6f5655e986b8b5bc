//! OCI image layouts on the local disk: a directory, or the same in a tar.
//!
//! What is needed is copied into the store, verified, so that running apps do not depend on the files.

mod archive;
mod index;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::digest::Digest;
use super::error::OciError;
use super::limits::Limits;
use super::manifest::Descriptor;
use super::reference::Source;
use super::store::{BlobWriter, Store, StoreError};
use archive::Archive;

/// The marker file, and the versions of the layout that are understood.
const MARKER: &str = "oci-layout";
const VERSIONS: &str = "1.";
/// Bytes of the marker file.
const MARKER_BYTES: u64 = 4096;
const INDEX: &str = "index.json";

/// An opened layout. Everything here blocks.
#[derive(Debug)]
pub(crate) enum Layout {
    Directory(PathBuf),
    Archive(Archive),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl Layout {
    /// Opens the layout of `source`, which must be a local one. A gzipped tar is unzipped into the store's scratch space.
    pub(crate) fn open(source: &Source, store: &Store, limits: &Limits) -> Result<Layout, OciError> {
        let layout = match source {
            Source::Registry(reference) => {
                let reason = "it is a registry's reference".to_owned();
                return Err(OciError::BadLayout {
                    path: reference.to_string().into(),
                    reason,
                });
            }
            Source::Layout { dir, .. } => Layout::Directory(dir.clone()),
            Source::Archive { file, .. } => Layout::Archive(Archive::open(file, store, limits)?),
        };
        layout.check_marker()?;
        Ok(layout)
    }

    /// The digest of the manifest or index that `tag` names.
    pub(crate) fn resolve(&self, tag: Option<&str>, limits: &Limits) -> Result<Digest, OciError> {
        index::resolve(self, tag, limits)
    }

    /// The manifest of an artifact's signatures: tagged as in a registry, or marked as such. `None`: there is none.
    pub(crate) fn attached(&self, tag: &str, limits: &Limits) -> Result<Option<Digest>, OciError> {
        index::attached(self, tag, limits)
    }

    /// The bytes of the manifest or index `digest`. The caller verifies them.
    pub(crate) fn manifest(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, OciError> {
        self.read(&blob_name(digest), limit)
    }

    /// Copies a blob.
    pub(crate) fn blob(&self, blob: &Descriptor, writer: &mut BlobWriter) -> Result<(), OciError> {
        let name = blob_name(&blob.digest);
        let (reader, _) = self.entry(&name)?;
        match writer.copy(reader) {
            Ok(Ok(())) => {}
            Ok(Err(StoreError::TooLarge { limit })) => {
                let what = format!("blob {} of {}", blob.digest, self.path().display());
                return Err(OciError::TooLarge {
                    what,
                    limit,
                    unit: "bytes, which its manifest states",
                });
            }
            Ok(Err(error)) => return Err(OciError::Store(error)),
            Err(source) => {
                return Err(OciError::Read {
                    path: self.path().join(name),
                    source,
                });
            }
        }
        Ok(())
    }

    fn path(&self) -> &Path {
        match self {
            Layout::Directory(dir) => dir,
            Layout::Archive(archive) => archive.path(),
        }
    }

    fn check_marker(&self) -> Result<(), OciError> {
        let bytes = match self.read(MARKER, MARKER_BYTES) {
            Err(OciError::NotFound { .. }) => {
                return Err(self.bad(format!("it has no file {MARKER:?}; expected an OCI image layout")));
            }
            other => other?,
        };
        let marker: Marker = serde_json::from_slice(&bytes)
            .map_err(|e| self.bad(format!("its {MARKER:?} is not valid ({e})")))?;
        if !marker.image_layout_version.starts_with(VERSIONS) {
            let version = marker.image_layout_version;
            return Err(self.bad(format!("its layout version is {version:?}; 1.0.0 is understood")));
        }
        Ok(())
    }

    /// All bytes of the file `name`, at most `limit`.
    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, OciError> {
        let (reader, size) = self.entry(name)?;
        let too_large = || OciError::TooLarge {
            what: format!("{name} of {}", self.path().display()),
            limit,
            unit: "bytes",
        };
        if size > limit {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let read = reader.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|source| OciError::Read {
            path: self.path().join(name),
            source,
        })?;
        if bytes.len() as u64 > limit {
            Err(too_large())
        } else {
            Ok(bytes)
        }
    }

    fn entry(&self, name: &str) -> Result<(Box<dyn Read + '_>, u64), OciError> {
        let dir = match self {
            Layout::Directory(dir) => dir,
            Layout::Archive(archive) => return archive.entry(name),
        };
        let path = dir.join(name);
        match File::open(&path).and_then(|file| Ok((file.metadata()?, file))) {
            Ok((metadata, file)) if metadata.is_file() => Ok((Box::new(file), metadata.len())),
            Ok(_) => Err(self.bad(format!("its {name:?} is not a file"))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(not_found(name, dir)),
            Err(source) => Err(OciError::Read { path, source }),
        }
    }

    fn bad(&self, reason: String) -> OciError {
        OciError::BadLayout {
            path: self.path().to_owned(),
            reason,
        }
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn not_found(name: &str, place: &Path) -> OciError {
    OciError::NotFound {
        what: name.to_owned(),
        place: place.display().to_string(),
        detail: String::new(),
    }
}

#[cfg(test)]
mod tests;

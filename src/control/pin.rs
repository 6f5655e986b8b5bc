//! Apps that go on with a version that served before, whatever their file's reference means.
//!
//! A pin names content, and nothing else: the members of the app's file are those of the present one. It ends with the
//! next edit of that file. All pins are in one file, which is read once, at the start, and written by [`Histories`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::histories::Histories;
use super::history::ServedVersion;
use super::status::PinnedVersion;
use crate::manifest::{AppId, AppSpec};
use crate::oci::{Digest, DigestError, ReferenceError, Source};

/// What one app is pinned to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    /// In its history.
    pub(crate) version: u64,
    /// Where its content comes from, as the file of then said it.
    pub(crate) reference: String,
    pub(crate) digest: String,
    pub(crate) since: String,
    /// The digest of the file's text: another text ends the pin.
    pub(crate) file: Digest,
}

/// Why a version can't be pinned to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinError {
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Pin {
    /// To a version that served, for as long as the app's file has this text.
    pub(crate) fn to(version: &ServedVersion, since: String, text: &str) -> Pin {
        Pin {
            version: version.version,
            reference: version.reference.clone(),
            digest: version.digest.clone(),
            since,
            file: Digest::of(text.as_bytes()),
        }
    }

    /// What the app file asks for, but with the content of this version. `path` is the file's.
    pub(crate) fn apply(&self, spec: &AppSpec, path: &Path) -> Result<AppSpec, PinError> {
        let digest = Digest::parse(&self.digest)?;
        Ok(AppSpec {
            reference: source_of(&self.reference, path)?.pinned_to(digest).into(),
            ..spec.clone()
        })
    }

    /// As readers see it.
    pub(crate) fn shown(&self) -> PinnedVersion {
        PinnedVersion {
            version: self.version,
            digest: self.digest.clone(),
            since: self.since.clone(),
        }
    }
}

/// A reference as the app file at `path` writes it.
pub(crate) fn source_of(reference: &str, path: &Path) -> Result<Source, ReferenceError> {
    Source::parse(reference, path.parent().unwrap_or(Path::new("")))
}

/// A pin that is in force, and what the file would ask for without it.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) pin: Pin,
    pub(crate) asked: Arc<AppSpec>,
}

/// The pins of all apps.
#[derive(Debug)]
pub(crate) struct Pins {
    pins: BTreeMap<AppId, Pin>,
    file: PathBuf,
    writer: Histories,
}

impl Pins {
    /// Reads what an earlier process left. Blocks on the disk, for one small file.
    pub(crate) fn open(file: PathBuf, writer: Histories) -> Pins {
        let pins = read(&file).unwrap_or_else(|e| {
            tracing::error!(file = %file.display(), error = %e, "pins can't be read: apps are served as their files say");
            BTreeMap::new()
        });
        Pins { pins, file, writer }
    }

    /// What an app's newest file asks for, and the pin over it. A file of another text than the pin's ends that.
    pub(crate) fn over(
        &mut self,
        id: &AppId,
        path: &Path,
        text: &str,
        asked: Arc<AppSpec>,
    ) -> (Arc<AppSpec>, Option<Hold>) {
        let Some(pin) = self.pins.get(id) else {
            return (asked, None);
        };
        let applied = (pin.file == Digest::of(text.as_bytes())).then(|| pin.apply(&asked, path));
        match applied {
            Some(Ok(spec)) => {
                let pin = pin.clone();
                (Arc::new(spec), Some(Hold { pin, asked }))
            }
            Some(Err(e)) => {
                tracing::error!(app = %id, version = pin.version, error = %e, "the pin is damaged and ends");
                self.remove(id);
                (asked, None)
            }
            None => {
                tracing::info!(app = %id, version = pin.version, "the app's file has changed: it is no longer pinned");
                self.remove(id);
                (asked, None)
            }
        }
    }

    /// Calls `done` when it is on disk, or could not be noted.
    pub(crate) fn put(&mut self, id: &AppId, pin: Pin, done: impl FnOnce() + Send + 'static) {
        self.pins.insert(id.clone(), pin);
        self.writer
            .write_pins(self.file.clone(), self.pins.clone(), Box::new(done));
    }

    pub(crate) fn remove(&mut self, id: &AppId) {
        if self.pins.remove(id).is_some() {
            self.write();
        }
    }

    /// These are all apps there are.
    pub(crate) fn retain(&mut self, ids: &[AppId]) {
        let before = self.pins.len();
        self.pins.retain(|id, _| ids.contains(id));
        if self.pins.len() != before {
            self.write();
        }
    }

    fn write(&self) {
        self.writer
            .write_pins(self.file.clone(), self.pins.clone(), Box::new(|| {}));
    }
}

fn read(file: &Path) -> io::Result<BTreeMap<AppId, Pin>> {
    match std::fs::read(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        text => Ok(serde_json::from_slice(&text?)?),
    }
}

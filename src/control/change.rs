//! What a source of desired state tells the supervisor.

use std::path::PathBuf;
use std::sync::Arc;

use crate::manifest::{AppId, AppSpec, ManifestError};

/// One news item of a source.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// Changes that belong together: a rename is a removal and a new file in one batch.
    Batch(Vec<Change>),
    /// The source itself can't be read (the reason, and the remedy), or can be read again. Every app stays as it is.
    Source(Option<String>),
}

/// What happened to one app's file.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is new, or its content changed.
    Set {
        /// The app.
        id: AppId,
        /// Its content, boxed since it is much larger than a removal.
        file: Box<AppFile>,
    },
    /// It is gone: a listing that succeeded lacks it.
    Removed {
        /// The app.
        id: AppId,
    },
}

/// The content of an app file.
#[derive(Debug, Clone, PartialEq)]
pub struct AppFile {
    /// Where it stands: the file, or the list that holds it.
    pub path: PathBuf,
    /// The app's own text, kept for the last good version.
    pub text: Arc<str>,
    /// What it asks for, or what is wrong with it.
    pub spec: Result<Arc<AppSpec>, ManifestError>,
}

impl Change {
    /// The app that it is about.
    pub fn id(&self) -> &AppId {
        match self {
            Change::Set { id, .. } | Change::Removed { id } => id,
        }
    }
}

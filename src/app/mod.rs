//! The locked app: its types, its versions, its validation (`docs/contract/locked-app.md`).

mod dependency;
mod error;
mod files;
mod locked;
mod metadata;
mod requirements;

pub use dependency::{Dependency, Inherit};
pub use error::AppError;
pub use files::{FileContent, FileMount};
pub use locked::{Component, ContentRef, LockedApp, Trigger, Variable};
pub use metadata::ComponentMetadata;

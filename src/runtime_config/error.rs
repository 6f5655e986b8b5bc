//! What can be wrong with a runtime configuration.

use std::path::PathBuf;

/// Why a runtime configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeConfigError {
    #[error("the runtime configuration {} can't be read", file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    /// `reason` has the line and the alternatives.
    #[error("the runtime configuration {} can't be used: {reason}", file.display())]
    Invalid { file: PathBuf, reason: String },
}

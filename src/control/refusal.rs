//! Why a command for one app is refused; nothing has changed then.

use crate::manifest::AppId;

/// What the operator is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No file names the app.
    #[error("the daemon has no app `{0}`: `status` lists them")]
    NoSuchApp(AppId),
    /// Its file switches it off.
    #[error("app `{0}` is switched off by its file: set \"enabled\": true first")]
    Disabled(AppId),
    /// There never was a valid file, in this process.
    #[error("the file of app `{0}` is in error, see `status`: correct it first")]
    NoFile(AppId),
    /// What it was to be rolled back to never served.
    #[error("{reason}; `history {app}` lists what there is")]
    NeverServed {
        /// The app.
        app: AppId,
        /// Which version was looked for.
        reason: String,
    },
    /// It served, and can't be had any more.
    #[error("version {version} ({digest}) can't be had: {reason}")]
    Unavailable {
        /// Its number.
        version: u64,
        /// Its digest.
        digest: String,
        /// Every layer's words.
        reason: String,
    },
    /// Another app has the address of this one.
    #[error("app `{app}` waits: {reason}")]
    Waits {
        /// The app.
        app: AppId,
        /// Who has it.
        reason: String,
    },
    /// There is nothing to undo.
    #[error("app `{0}` is not pinned to a version")]
    NotPinned(AppId),
    /// The app's databases can't be copied.
    #[error("app `{app}` can't be backed up: {reason}")]
    NoBackup {
        /// The app.
        app: AppId,
        /// Every layer's words.
        reason: String,
    },
    /// Something newer came first.
    #[error(
        "the app's file has changed meanwhile, or a newer command came, or the daemon ends: see `status`"
    )]
    Superseded,
}

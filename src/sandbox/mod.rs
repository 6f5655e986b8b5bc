//! What this process takes from itself before it serves anybody: writing outside its directories, running programs, and
//! system calls that no server needs.
//!
//! A guest has none of this anyway. It is for the day on which a guest breaks out of its engine.
//!
//! | file | responsibility |
//! |---|---|
//! | `files.rs` | Landlock: where may be written, what may be run |
//! | `calls.rs` | seccomp: which system calls fail |
//! | `writable.rs` | the same places, for errors that say more than "permission denied" |
//!
//! Both are for ever, and inherited by what is run. So it is done once, before the process has a second thread, and a
//! process that takes over from another one has what that one had.

mod calls;
mod files;
mod writable;

use std::path::PathBuf;

pub use writable::{NotWritable, Writable};

/// Whether the process is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum SandboxMode {
    /// Not at all.
    Off,
    /// As far as the kernel can.
    #[default]
    Auto,
    /// All of it, or the process does not start.
    On,
}

/// What stays allowed; all paths absolute. Reading is not restricted, nor is the network: app files may name archives,
/// certificates and servers anywhere, at any time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Directories below which everything may be written.
    pub writable: Vec<PathBuf>,
    /// Directories in which files may be made and written, and never removed.
    pub logs: Vec<PathBuf>,
    /// Directories below which Unix sockets may be made and removed.
    pub sockets: Vec<PathBuf>,
    /// Directories, and files, that hold programs which may be run.
    pub programs: Vec<PathBuf>,
}

/// Why the process can't be confined.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(
        "the kernel can't restrict files: Landlock of Linux 5.19 or later is needed, and among the active security modules; with --sandbox auto the process goes without"
    )]
    Files(#[from] landlock::RulesetError),
    #[error(
        "the kernel can't restrict system calls: seccomp is needed; with --sandbox auto the process goes without"
    )]
    Calls(#[from] seccompiler::Error),
    #[error("--allow-write {} can't be opened", path.display())]
    AllowWrite { path: PathBuf, source: std::io::Error },
}

/// Confines the process, and tells what is allowed. To be called once, before a second thread is there: threads that are
/// already there would stay as they are.
///
/// # Errors
/// With [`SandboxMode::On`], if the kernel can't do all of it.
pub fn confine(mode: SandboxMode, rules: &Rules) -> Result<Writable, SandboxError> {
    if mode == SandboxMode::Off {
        tracing::info!("the process is not confined (--sandbox off)");
        return Ok(Writable::everywhere());
    }
    let files = forgive(mode, files::restrict(rules).map_err(SandboxError::Files))?;
    let calls = forgive(mode, calls::restrict().map_err(SandboxError::Calls))?;
    tracing::info!(files, system_calls = calls, "the process is confined");
    Ok(match files {
        true => Writable::below(rules),
        false => Writable::everywhere(),
    })
}

/// Whether it worked; an error only where it has to.
fn forgive(mode: SandboxMode, done: Result<(), SandboxError>) -> Result<bool, SandboxError> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if mode == SandboxMode::On => Err(error),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the process is less confined than it could be"
            );
            Ok(false)
        }
    }
}

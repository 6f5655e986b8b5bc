//! Files of lines, each written by a thread of its own: what guests print, and whatever else is told line by line.
//!
//! The lines of guests are in Spin's layout: `<component>_stdout.txt` and `<component>_stderr.txt` in the app's log directory
//! (`docs/contract/runtime-config.md §2`). One thread writes them all ([`writer`]); a file is opened at its first line, closed when
//! nothing has come for a while, and renamed to `.1` when it is full ([`rotating`]). Guests hand lines to that thread and never
//! wait for it: what one app has waiting is bounded, and what is beyond that is lost, counted and told ([`component`]). Readers
//! ask the thread, too, so that no line is missing between what stands in a file and what comes next ([`reading`]). Lines have no
//! times in Spin's layout; an operator may want some ([`times`]).

mod component;
mod guests;
mod names;
mod reading;
mod rotating;
mod tail;
mod thread;
mod times;
mod writer;

use serde::{Deserialize, Serialize};

pub use component::ComponentLog;
pub use guests::{AppLogs, GuestLogs};
pub use names::app_directory;
pub use reading::{LogLine, LogQuery, LogReader, MAX_LINES};
pub(crate) use thread::{LineThread, Sink};

/// A line longer than this many bytes is taken in pieces, each a line, so that a guest that never ends one can't fill the host's
/// memory.
pub const MAX_LINE: usize = 8 << 10;

/// What is done with the lines that guests print.
#[derive(Debug, Clone, Copy)]
pub struct GuestLogSettings {
    pub to: GuestLogTarget,
    /// Whether each line of a file begins with its time: see [`times`].
    pub times: bool,
    /// Bytes of one file; as many again are in the one before it.
    pub size: u64,
}

/// Where the lines of guests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum GuestLogTarget {
    /// Files by app and component, and the daemon's log.
    Both,
    /// Files by app and component alone.
    Files,
    /// The daemon's log alone.
    Log,
    /// Nowhere; `logs -f` shows them all the same.
    None,
}

impl GuestLogTarget {
    pub(crate) fn has_files(self) -> bool {
        matches!(self, Self::Both | Self::Files)
    }

    pub(crate) fn has_log(self) -> bool {
        matches!(self, Self::Both | Self::Log)
    }
}

/// Which of its two outputs a guest wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

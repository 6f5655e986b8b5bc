//! From desired state to running apps: watch a directory, plan purely, supervise.
//!
//! ```text
//! watch (a directory) ─┐ Update           Launcher: prepare ▶ activate
//!                      ├────────▶ Supervisor ──────────────────────▶ running apps
//! list (lepton.json) ──┘              └▶ Status (a watch channel)
//! ```
//!
//! | file | responsibility |
//! |---|---|
//! | `watch.rs`, `events.rs`, `files.rs`, `scan.rs`, `settle.rs`, `links.rs` | a directory to changes: when to look, the system's hints, what counts as a change, one look, what is doubted, where links lead |
//! | `list.rs` | a fixed list to the same changes |
//! | `claim.rs`, `claims.rs`, `meeting.rs`, `few.rs`, `taken.rs`, `plan.rs` | pure: what an app claims, who may have it, what clients can't be met with beside it, small sets, how that is told, what to do about an app |
//! | `rehearsal.rs`, `inspect.rs` | what would be done with other files; files without a daemon |
//! | `supervisor/` | owns the actual state |
//! | `launcher.rs` | the seam to everything that knows artifacts, Wasm and sockets |
//! | `last_good.rs`, `kept_files.rs` | what served before a restart; small files of this daemon's own |
//! | `history.rs`, `histories.rs`, `pin.rs` | what has served; where that is kept; what was gone back to |
//! | `status.rs`, `refusal.rs` | what readers see; why a command is refused |
//! | `lock.rs` | one daemon for one source |
//! | `shared.rs` | what is the same of many apps |
//!
//! Long-lived: the thread `watch` and its task `watch requests` (or the task `app list`), which end when the supervisor
//! drops its receiver; the task `supervisor`, which ends at shutdown, and its `last good versions` and `histories`, which end with
//! it.

mod backoff;
mod change;
mod claim;
mod claims;
mod events;
mod few;
mod files;
mod histories;
mod history;
mod inspect;
mod kept_files;
mod last_good;
mod launcher;
mod links;
mod list;
mod lock;
mod meeting;
mod pin;
mod plan;
mod refusal;
mod rehearsal;
mod resolve;
mod scan;
mod settle;
mod shared;
mod status;
mod supervisor;
mod taken;
mod watch;

pub use crate::manifest::AppId;
pub use change::{AppFile, Change, Update};
pub use history::{History, RefusedVersion, ServedVersion, VersionEnd};
pub use inspect::{Inspected, conflicts, drafts, inspect, inspect_list};
pub use launcher::{
    Backup, Finished, LaunchError, LaunchErrorKind, Launcher, Passive, Preparation, ResolvedAddress, Run,
    Running, Version,
};
pub use list::watch_list;
pub use lock::{LockError, SourceLock};
pub use refusal::Refusal;
pub use rehearsal::{Action, Draft, Drafts, Planned, Rehearsed, rehearse_alone};
pub(crate) use resolve::resolve;
pub use settle::Patience;
pub(crate) use status::timestamp;
pub use status::{AppState, AppStatus, AppTraffic, PinnedVersion, Status};
pub use supervisor::{Supervisor, SupervisorHandle, SupervisorSettings};
pub use watch::{WatchOptions, watch};

//! How a connection waits for locks, unless its guest has settings of its own for that.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::open::{BUSY_TIMEOUT, Signals};
use super::queue::{FileQueue, Turn};

/// Waits between two tries at a lock whose owner may be another process grow up to this power of two, in milliseconds.
const LONGEST_POLL: u32 = 4;

/// What SQLite calls the write-ahead log of a file, after its name.
const LOG_SUFFIX: &str = "-wal";

/// Of one connection to a file. Only the connection's thread uses it, partly from inside SQLite.
pub(super) struct Patience {
    queue: Arc<FileQueue>,
    signals: Arc<Signals>,
    /// The file's write-ahead log. Where one is, writers keep no one from reading: what a new connection meets is one that
    /// closes, for a moment. And the log is thrown away, at some cost, whenever no connection has the file open, as would be
    /// if all new ones stood in line.
    log: PathBuf,
    call: Mutex<State>,
}

/// Of the call under way.
#[derive(Default)]
struct State {
    /// No lock is held, so no one waits for this connection.
    may_queue: bool,
    turn: Option<Turn>,
    /// The statement is known to write nothing.
    is_reader: bool,
    /// Not yet spent on waiting.
    left: Duration,
}

/// One call of the guest's; dropping it, when its locks are given back, ends its turn.
pub(super) struct Call(Arc<Patience>);

impl Patience {
    pub(super) fn new(path: &Path, queue: Arc<FileQueue>, signals: Arc<Signals>) -> Arc<Self> {
        let mut log = path.as_os_str().to_owned();
        log.push(LOG_SUFFIX);
        Arc::new(Self {
            log: log.into(),
            queue,
            signals,
            call: Mutex::default(),
        })
    }

    /// Begins a call of a connection that has locks already, or not.
    pub(super) fn call(self: &Arc<Self>, has_locks: bool) -> Call {
        *self.state() = State {
            may_queue: !has_locks,
            turn: None,
            is_reader: false,
            left: BUSY_TIMEOUT,
        };
        Call(self.clone())
    }

    /// SQLite found a lock taken, for the `tries`th time after the first: whether it is to try again.
    pub(super) fn wait(&self, tries: i32) -> bool {
        let mut state = self.state();
        if state.left.is_zero() || self.signals.closing.load(Ordering::Relaxed) {
            return false;
        }
        if state.may_queue && state.turn.is_none() && !self.log.exists() {
            return self.take_turn(&mut state);
        }
        let power = u32::try_from(tries).map_or(LONGEST_POLL, |tries| tries.min(LONGEST_POLL));
        let time = state.left.min(Duration::from_millis(1 << power));
        let start = Instant::now();
        self.queue.wait_for_release(time);
        state.left = state.left.saturating_sub(start.elapsed());
        true
    }

    /// False when patience has ended; from then on, no lock that is taken is waited for.
    fn take_turn(&self, state: &mut State) -> bool {
        let start = Instant::now();
        state.turn = self
            .queue
            .enter(state.is_reader, state.left, &self.signals.closing);
        state.left = match state.turn {
            Some(_) => state.left.saturating_sub(start.elapsed()),
            None => Duration::ZERO,
        };
        state.turn.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No panic can happen while it is held.
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// The statement is known now, and about to run. Who writes waits for a turn beforehand; without one in time it goes on,
    /// and SQLite decides.
    pub(super) fn run(&self, is_readonly: bool) {
        let Patience { queue, signals, .. } = &*self.0;
        let mut state = self.0.state();
        state.is_reader = is_readonly;
        match &state.turn {
            Some(turn) if is_readonly => turn.share(),
            None if !is_readonly && state.may_queue && !signals.own_patience.load(Ordering::Relaxed) => {
                // The schema has been read, and its lock given back.
                queue.tell_release();
                self.0.take_turn(&mut state);
            }
            _ => {}
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.state().turn = None;
        self.0.queue.tell_release();
    }
}

#[cfg(test)]
mod tests;

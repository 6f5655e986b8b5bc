//! Turns on the process's threads, for apps that hold them long.
//!
//! Threads are fewer than requests. An app whose guests hold a thread for milliseconds on end, and do so for more than a
//! small part of the time, has to take turns with others like it, one after the other: at least one thread always is
//! without such a guest, so that everybody else finds one at once.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// What holds a thread for less is never counted. Shorter than a tick of the epoch clock: who burns is interrupted then.
pub(super) const LONG: Duration = Duration::from_micros(500);
/// Such time that an app may have used at once.
const BURST: Duration = Duration::from_millis(20);
/// Such time that is remembered at most, so that an app that has become quiet is soon as any other.
const MEMORY: Duration = Duration::from_millis(200);
/// Of a thread's time, the part that an app may use so without taking turns: one in this many.
const SHARE: u32 = 10;

/// Where debts are counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// All turns of the process.
#[derive(Debug)]
pub(super) struct Turns {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Apps that wait, the next first.
    order: VecDeque<u64>,
    waiting: HashMap<u64, VecDeque<oneshot::Sender<Turn>>>,
    next_app: u64,
}

/// What one version of an app has used of the process's threads. A cheap handle.
#[derive(Debug, Clone)]
pub struct AppShare {
    shared: Arc<Share>,
}

#[derive(Debug)]
struct Share {
    app: u64,
    turns: Arc<Turns>,
    /// When the app's debt is paid, in nanoseconds from [`START`].
    paid: AtomicU64,
}

/// Leave to hold a thread once.
#[derive(Debug)]
pub(super) struct Turn(Option<Arc<Turns>>);

/// A turn, now or later.
#[derive(Debug)]
pub(super) enum Wanted {
    Now(Turn),
    Later(oneshot::Receiver<Turn>),
}

impl Turns {
    /// `threads`: of the async runtime.
    pub(super) fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: threads.saturating_sub(1).max(1),
                order: VecDeque::new(),
                waiting: HashMap::new(),
                next_app: 0,
            }),
        })
    }

    /// For one more app.
    pub(super) fn share(self: &Arc<Self>) -> AppShare {
        let mut state = self.lock();
        let app = state.next_app;
        state.next_app += 1;
        AppShare {
            shared: Arc::new(Share {
                app,
                turns: self.clone(),
                paid: AtomicU64::new(0),
            }),
        }
    }

    fn want(self: &Arc<Self>, app: u64) -> Wanted {
        let mut state = self.lock();
        if state.free > 0 {
            state.free -= 1;
            return Wanted::Now(Turn(Some(self.clone())));
        }
        let (sender, receiver) = oneshot::channel();
        let queue = state.waiting.entry(app).or_default();
        queue.push_back(sender);
        if queue.len() == 1 {
            state.order.push_back(app);
        }
        Wanted::Later(receiver)
    }

    /// Whose turn it is, and the apps behind it; nobody's makes one free.
    fn next(&self) -> Option<oneshot::Sender<Turn>> {
        let mut state = self.lock();
        let Some(app) = state.order.pop_front() else {
            state.free += 1;
            return None;
        };
        let queue = state.waiting.get_mut(&app)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            state.waiting.remove(&app);
        } else {
            state.order.push_back(app);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No panic can happen while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        while let Some(next) = turns.next() {
            match next.send(Turn(Some(turns.clone()))) {
                Ok(()) => return,
                // It waits no more. Its turn must not end here as well.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

impl AppShare {
    /// Counts that a guest held a thread for so long.
    pub(super) fn held(&self, time: Duration) {
        if time < LONG {
            return;
        }
        let now = since_start();
        let most = now + nanos(MEMORY * SHARE);
        let add = nanos(time * SHARE);
        let paid = |paid: u64| Some((paid.max(now) + add).min(most));
        // It never fails: the closure always has a value.
        let _ = self
            .shared
            .paid
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid);
    }

    /// The turn that the app's next instance needs. None is needed by an app that left the threads to others.
    pub(super) fn turn(&self) -> Option<Wanted> {
        let heavy = self.shared.paid.load(Ordering::Relaxed) > since_start() + nanos(BURST * SHARE);
        heavy.then(|| self.shared.turns.want(self.shared.app))
    }
}

#[cfg(test)]
impl Default for AppShare {
    /// Of a process of its own.
    fn default() -> Self {
        Turns::new(1).share()
    }
}

fn since_start() -> u64 {
    nanos(START.elapsed())
}

/// Half a millennium fits.
fn nanos(time: Duration) -> u64 {
    time.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(wanted: Wanted) -> oneshot::Receiver<Turn> {
        match wanted {
            Wanted::Later(turn) => turn,
            Wanted::Now(_) => panic!("a turn was free"),
        }
    }

    fn now(wanted: Wanted) -> Turn {
        match wanted {
            Wanted::Now(turn) => turn,
            Wanted::Later(_) => panic!("no turn was free"),
        }
    }

    #[test]
    fn apps_take_turns_however_many_instances_wait() {
        let turns = Turns::new(2);
        let first = now(turns.want(0));
        let mut many: Vec<_> = (0..3).map(|_| later(turns.want(0))).collect();
        let mut other = later(turns.want(1));
        drop(first);
        let second = many.remove(0).try_recv().unwrap();
        assert!(other.try_recv().is_err() && many[0].try_recv().is_err());
        drop(second);
        let third = other.try_recv().unwrap();
        assert!(many[0].try_recv().is_err());
        drop(third);
        assert!(many[0].try_recv().is_ok());
    }

    #[test]
    fn who_no_longer_waits_is_passed_over() {
        let turns = Turns::new(1);
        let first = now(turns.want(0));
        drop(later(turns.want(0)));
        let mut waits = later(turns.want(0));
        drop(first);
        drop(waits.try_recv().unwrap());
        drop(now(turns.want(1)));
        drop(now(turns.want(1)));
    }

    #[test]
    fn a_turn_that_was_given_and_not_taken_goes_on() {
        let turns = Turns::new(1);
        let first = now(turns.want(0));
        let given = later(turns.want(0));
        drop(first);
        drop(given);
        drop(now(turns.want(0)));
    }

    #[test]
    fn only_apps_that_hold_threads_long_need_turns() {
        let share = AppShare::default();
        for _ in 0..1000 {
            share.held(LONG / 2);
        }
        assert!(share.turn().is_none());
        share.held(BURST / 2);
        assert!(share.turn().is_none());
        share.held(BURST);
        assert!(share.turn().is_some());
    }
}

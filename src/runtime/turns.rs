//! Turns on the process's threads, for apps that hold them long.
//!
//! Threads are fewer than requests. An app whose guests hold a thread for milliseconds on end, and do so for more than a
//! small part of the time, is heavy: its instances run in the background, where they take turns, one app after the other.
//! Those that can't be moved there take turns too, and leave at least one thread of the foreground to everybody else.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::tasks::{Background, in_background};

/// What holds a thread for less is never counted. Shorter than a tick of the epoch clock: who burns is interrupted then.
pub(super) const LONG: Duration = Duration::from_micros(500);
/// Such time that an app may have used at once.
const BURST: Duration = Duration::from_millis(20);
/// Such time that is remembered at most, so that an app that has become quiet is soon as any other.
const MEMORY: Duration = Duration::from_millis(200);
/// How long an app is watched after one of its guests seemed to hold a thread long.
const WATCH: Duration = Duration::from_millis(100);
/// Of the turns of an app that is watched, one in this many is measured, and stands for as many.
pub(super) const SAMPLE: u32 = 8;
/// Of a thread's time, the part that an app may use so without taking turns: one in this many.
const SHARE: u32 = 10;

/// Where debts are counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// All threads of the process that drive guests.
#[derive(Debug)]
pub(super) struct Threads {
    next_app: AtomicU64,
    foreground: Arc<Turns>,
    background: Arc<Turns>,
    /// Where heavy apps run, if there is such a place.
    place: Option<Background>,
}

/// The turns on some of the threads.
#[derive(Debug)]
struct Turns(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    /// Apps that wait, the next first.
    order: VecDeque<u64>,
    waiting: HashMap<u64, VecDeque<oneshot::Sender<Turn>>>,
}

/// What one version of an app has used of the process's threads. A cheap handle.
#[derive(Debug, Clone)]
pub struct AppShare {
    shared: Arc<Share>,
}

#[derive(Debug)]
struct Share {
    app: u64,
    threads: Arc<Threads>,
    /// When the app's debt is paid, in nanoseconds from [`START`].
    paid: AtomicU64,
    /// Until when it is watched, in the same.
    watched: AtomicU64,
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

impl Threads {
    /// `threads`: of the async runtime, and as many that make way; the background has one more.
    pub(super) fn new(threads: usize, background: Option<Background>) -> Arc<Self> {
        Arc::new(Self {
            next_app: AtomicU64::new(0),
            foreground: Turns::new(threads.saturating_sub(1)),
            background: Turns::new(threads + 1),
            place: background,
        })
    }

    /// For one more app.
    pub(super) fn share(self: &Arc<Self>) -> AppShare {
        AppShare {
            shared: Arc::new(Share {
                app: self.next_app.fetch_add(1, Ordering::Relaxed),
                threads: self.clone(),
                paid: AtomicU64::new(0),
                watched: AtomicU64::new(0),
            }),
        }
    }
}

impl Turns {
    /// One at least.
    fn new(free: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            free: free.max(1),
            order: VecDeque::new(),
            waiting: HashMap::new(),
        })))
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Whether the processor's time of the turn that begins now is to be measured, which costs two system calls.
    pub(super) fn is_sample(&self, now: Instant) -> bool {
        let now = nanos(now - *START);
        self.shared.watched.load(Ordering::Relaxed) > now && is_drawn(now)
    }

    /// A guest seems to have held a thread for so long: it may have waited for the processor, which others had. From now on some turns are
    /// measured.
    pub(super) fn seems_held(&self, time: Duration) {
        if time >= LONG {
            let until = since_start() + nanos(WATCH);
            self.shared.watched.store(until, Ordering::Relaxed);
        }
    }

    /// Counts that a guest held a thread for so long, of the processor's time, in each of so many turns.
    pub(super) fn held(&self, time: Duration, turns: u32) {
        if time < LONG {
            return;
        }
        self.seems_held(time);
        let now = since_start();
        let most = now + nanos(MEMORY * SHARE);
        let add = nanos(time * SHARE * turns);
        let paid = |paid: u64| Some((paid.max(now) + add).min(most));
        // It never fails: the closure always has a value.
        let _ = self
            .shared
            .paid
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid);
    }

    /// Whether the app has lately held threads for longer than others can be asked to wait.
    pub fn is_heavy(&self) -> bool {
        let paid = self.shared.paid.load(Ordering::Relaxed);
        // Most apps have never owed anything: no clock is asked for them, at each poll.
        paid > 0 && paid > since_start() + nanos(BURST * SHARE)
    }

    /// Where the app's instances have to run for now, if not here.
    pub fn elsewhere(&self) -> Option<&Background> {
        let place = self.shared.threads.place.as_ref()?;
        (!in_background() && self.is_heavy()).then_some(place)
    }

    /// The turn on these threads that the app's next instance needs. None is needed by an app that left the threads to others.
    pub(super) fn turn(&self) -> Option<Wanted> {
        let threads = &self.shared.threads;
        let turns = match in_background() {
            true => &threads.background,
            false => &threads.foreground,
        };
        self.is_heavy().then(|| turns.want(self.shared.app))
    }
}

#[cfg(test)]
impl Default for AppShare {
    /// Of a process of its own.
    fn default() -> Self {
        Threads::new(1, None).share()
    }
}

/// Whether one in [`SAMPLE`] falls to this instant, whatever the clock's grain.
fn is_drawn(now: u64) -> bool {
    // The golden ratio spreads what is close to each other (Knuth, multiplicative hashing).
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    now.wrapping_mul(SPREAD) < u64::MAX / u64::from(SAMPLE)
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
        let turns = Turns::new(1);
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
    fn one_turn_in_so_many_is_drawn_by_clocks_of_any_grain() {
        let expected = 8000 / SAMPLE as usize;
        for grain in [1, 8, 100, 1000, 15_625] {
            let drawn = (0..8000).filter(|turn| is_drawn(turn * grain)).count();
            assert!((expected / 2..expected * 2).contains(&drawn), "{grain}: {drawn}");
        }
    }

    #[test]
    fn only_apps_that_hold_threads_long_need_turns() {
        let share = AppShare::default();
        for _ in 0..1000 {
            share.held(LONG / 2, 1);
        }
        assert!(share.turn().is_none());
        share.held(BURST / 2, 1);
        assert!(share.turn().is_none());
        share.held(BURST, 1);
        assert!(share.turn().is_some());
    }
}

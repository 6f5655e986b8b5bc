//! Whoever finds a file locked, or writes to it, takes turns, the first to come being the first served.
//!
//! SQLite alone lets them ask again and again, at growing intervals: where some come and go, one that is unlucky asks until
//! its patience ends. That holds for writers, and as well for whoever only reads the schema of a file that others write to
//! without a pause, as each new connection does. A connection that has locks already stays outside, as in transactions of
//! several statements: it could wait for someone who waits for it.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How often one who waits looks whether the connection is still wanted.
const CHECK: Duration = Duration::from_millis(100);

/// The queues of all files that are in use, whichever apps and versions use them.
#[derive(Default)]
pub(in crate::host::sqlite) struct FileQueues {
    files: Mutex<HashMap<PathBuf, Weak<FileQueue>>>,
}

impl FileQueues {
    /// That of the file at `path`.
    pub(in crate::host::sqlite) fn of(&self, path: &Path) -> Arc<FileQueue> {
        // No panic can happen while it is held.
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = files.get(path).and_then(Weak::upgrade) {
            return queue;
        }
        files.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::default();
        files.insert(path.into(), Arc::downgrade(&queue));
        queue
    }
}

#[derive(Default)]
pub(in crate::host::sqlite) struct FileQueue {
    line: Mutex<Line>,
    /// Locks were given back, with or without a turn.
    released: Condvar,
}

#[derive(Default)]
struct Line {
    places: VecDeque<Place>,
    next: u64,
}

struct Place {
    ticket: u64,
    /// Goes together with those that are shared as well.
    shared: bool,
    thread: Thread,
}

impl Line {
    /// Those whose turn it is: the first, and who can share with it.
    fn served(&self) -> impl Iterator<Item = &Place> {
        let shared = self.places.iter().take_while(|place| place.shared).count();
        self.places.iter().take(shared.max(1))
    }

    fn is_served(&self, ticket: u64) -> bool {
        self.served().any(|place| place.ticket == ticket)
    }

    fn wake_served(&self) {
        self.served().for_each(|place| place.thread.unpark());
    }
}

/// Its owner may use the file: alone, unless it shares.
pub(super) struct Turn {
    queue: Arc<FileQueue>,
    ticket: u64,
}

impl FileQueue {
    /// Waits for a turn. None when `patience` has ended or the connection is closing.
    pub(super) fn enter(
        self: &Arc<Self>,
        shared: bool,
        patience: Duration,
        closing: &AtomicBool,
    ) -> Option<Turn> {
        let end = Instant::now() + patience;
        let turn = {
            let mut line = self.line();
            let ticket = line.next;
            line.next += 1;
            line.places.push_back(Place {
                ticket,
                shared,
                thread: std::thread::current(),
            });
            Turn {
                queue: self.clone(),
                ticket,
            }
        };
        while !self.line().is_served(turn.ticket) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || closing.load(Ordering::Relaxed) {
                return None;
            }
            std::thread::park_timeout(left.min(CHECK));
        }
        Some(turn)
    }

    /// Returns when someone has given locks back, or after `time`: another process tells nothing.
    pub(super) fn wait_for_release(&self, time: Duration) {
        // What is held meanwhile says nothing of locks: any wake-up is as good as another.
        drop(self.released.wait_timeout(self.line(), time));
    }

    pub(super) fn tell_release(&self) {
        self.released.notify_all();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.line().places.len()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // No panic can happen while it is held.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Lets those in who stand next and only read.
    pub(super) fn share(&self) {
        let mut line = self.queue.line();
        let own = line.places.iter_mut().find(|place| place.ticket == self.ticket);
        if let Some(own) = own {
            own.shared = true;
        }
        line.wake_served();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut line = self.queue.line();
        line.places.retain(|place| place.ticket != self.ticket);
        line.wake_served();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const ALONE: bool = false;
    const SHARED: bool = true;
    static OPEN: AtomicBool = AtomicBool::new(false);

    #[test]
    fn turns_are_taken_in_the_order_of_arrival() {
        let queue = Arc::<FileQueue>::default();
        let order = Mutex::new(Vec::new());
        let first = queue.enter(ALONE, LONG, &OPEN).unwrap();
        std::thread::scope(|scope| {
            for number in 0..5 {
                scope.spawn({
                    let (queue, order) = (&queue, &order);
                    move || {
                        let _turn = queue.enter(ALONE, LONG, &OPEN).unwrap();
                        order.lock().unwrap().push(number);
                    }
                });
                while queue.len() < number + 2 {
                    std::thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn readers_go_together_but_pass_no_one_who_goes_alone() {
        let queue = Arc::<FileQueue>::default();
        let first = queue.enter(ALONE, LONG, &OPEN).unwrap();
        let is_served = |ticket| queue.line().is_served(ticket);
        let enter = |shared| queue.enter(shared, Duration::ZERO, &OPEN);
        assert!(enter(SHARED).is_none());
        first.share();
        let second = enter(SHARED).unwrap();
        assert!(is_served(first.ticket) && is_served(second.ticket));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| queue.enter(ALONE, LONG, &OPEN).map(drop));
            while queue.len() < 3 {
                std::thread::yield_now();
            }
            assert!(enter(SHARED).is_none());
            drop(first);
            assert!(enter(SHARED).is_none());
            drop(second);
            assert!(writer.join().unwrap().is_some());
        });
        assert!(enter(SHARED).is_some());
    }

    #[test]
    fn who_no_longer_waits_is_in_no_ones_way() {
        let queue = Arc::<FileQueue>::default();
        let first = queue.enter(ALONE, LONG, &OPEN).unwrap();
        assert!(queue.enter(ALONE, Duration::ZERO, &OPEN).is_none());
        assert!(queue.enter(ALONE, LONG, &AtomicBool::new(true)).is_none());
        drop(first);
        assert!(queue.enter(ALONE, Duration::ZERO, &OPEN).is_some());
    }

    #[test]
    fn a_file_has_one_queue_for_as_long_as_it_is_used() {
        let queues = FileQueues::default();
        let one = queues.of(Path::new("/a"));
        assert!(Arc::ptr_eq(&one, &queues.of(Path::new("/a"))));
        assert!(!Arc::ptr_eq(&one, &queues.of(Path::new("/b"))));
        assert_eq!(queues.files.lock().unwrap().len(), 2);
        let _three = queues.of(Path::new("/c"));
        assert_eq!(queues.files.lock().unwrap().len(), 2);
    }
}

//! Whoever writes to one file takes turns, the first to come being the first served.
//!
//! SQLite alone lets writers ask again and again, at growing intervals: with many of them, one that is unlucky asks until
//! its patience ends, while others come and go. Transactions of several statements stay outside: they have their locks from
//! SQLite, and could wait for each other here.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How often one who waits looks whether the connection is still wanted.
const CHECK: Duration = Duration::from_millis(100);

/// The queues of all files that are in use, whichever apps and versions use them.
#[derive(Default)]
pub(in crate::host::sqlite) struct WriteQueues {
    files: Mutex<HashMap<PathBuf, Weak<WriteQueue>>>,
}

impl WriteQueues {
    /// That of the file at `path`.
    pub(in crate::host::sqlite) fn of(&self, path: &Path) -> Arc<WriteQueue> {
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
pub(in crate::host::sqlite) struct WriteQueue {
    tickets: Mutex<Tickets>,
    moved: Condvar,
}

#[derive(Default)]
struct Tickets {
    /// The first one writes.
    waiting: VecDeque<u64>,
    next: u64,
}

/// Its owner may write.
pub(super) struct Turn<'a> {
    queue: &'a WriteQueue,
    ticket: u64,
}

impl WriteQueue {
    /// Waits for a turn. None when `patience` has ended or the connection is closing: then the writer goes on without one,
    /// and SQLite decides.
    pub(super) fn enter(&self, patience: Duration, closing: &AtomicBool) -> Option<Turn<'_>> {
        let end = Instant::now() + patience;
        let mut tickets = self.tickets();
        let turn = Turn {
            queue: self,
            ticket: tickets.next,
        };
        tickets.next += 1;
        tickets.waiting.push_back(turn.ticket);
        while tickets.waiting.front() != Some(&turn.ticket) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || closing.load(Ordering::Relaxed) {
                // The turn takes the lock again when it is dropped.
                drop(tickets);
                return None;
            }
            let waited = self.moved.wait_timeout(tickets, left.min(CHECK));
            tickets = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(tickets);
        Some(turn)
    }

    fn tickets(&self) -> MutexGuard<'_, Tickets> {
        // No panic can happen while it is held.
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.queue
            .tickets()
            .waiting
            .retain(|&ticket| ticket != self.ticket);
        self.queue.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    static OPEN: AtomicBool = AtomicBool::new(false);

    #[test]
    fn turns_are_taken_in_the_order_of_arrival() {
        let queue = WriteQueue::default();
        let order = Mutex::new(Vec::new());
        let first = queue.enter(LONG, &OPEN).unwrap();
        std::thread::scope(|scope| {
            for number in 0..5 {
                scope.spawn({
                    let (queue, order) = (&queue, &order);
                    move || {
                        let _turn = queue.enter(LONG, &OPEN).unwrap();
                        order.lock().unwrap().push(number);
                    }
                });
                while queue.tickets().waiting.len() < number + 2 {
                    std::thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn who_no_longer_waits_is_in_no_ones_way() {
        let queue = WriteQueue::default();
        let first = queue.enter(LONG, &OPEN).unwrap();
        assert!(queue.enter(Duration::ZERO, &OPEN).is_none());
        assert!(queue.enter(LONG, &AtomicBool::new(true)).is_none());
        drop(first);
        assert!(queue.enter(Duration::ZERO, &OPEN).is_some());
    }

    #[test]
    fn a_file_has_one_queue_for_as_long_as_it_is_used() {
        let queues = WriteQueues::default();
        let one = queues.of(Path::new("/a"));
        assert!(Arc::ptr_eq(&one, &queues.of(Path::new("/a"))));
        assert!(!Arc::ptr_eq(&one, &queues.of(Path::new("/b"))));
        assert_eq!(queues.files.lock().unwrap().len(), 2);
        let _three = queues.of(Path::new("/c"));
        assert_eq!(queues.files.lock().unwrap().len(), 2);
    }
}

//! Short pieces of work with files, on threads of their own.
//!
//! Thousands of apps may start together, and all of them take the processor from requests: the threads are few. They are always the
//! same, since what they allocate stays: spread over many threads, the pages of each would be half empty.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::start_thread;
use crate::memory;

const THREADS: usize = 4;

/// # Panics
/// A thread can't be started, as with the threads of the async runtime.
static QUEUE: LazyLock<Arc<Queue>> = LazyLock::new(|| {
    let queue = Arc::<Queue>::default();
    for _ in 0..THREADS {
        let queue = queue.clone();
        start_thread("disk", move || queue.work()).expect("a process can start a few threads");
    }
    queue
});

type Work = Box<dyn FnOnce() + Send>;

/// What waits for a thread. One that finds nothing sleeps at once: the pools for computing look again and again for a while, which takes as
/// long as the work itself.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Default)]
struct Waiting {
    work: VecDeque<Work>,
    /// Threads that sleep.
    idle: usize,
}

impl Queue {
    fn push(&self, work: Work) {
        let mut waiting = self.lock();
        waiting.work.push_back(work);
        let sleeps = waiting.idle > 0;
        drop(waiting);
        // To wake nobody is a call of the kernel, too.
        if sleeps {
            self.more.notify_one();
        }
    }

    /// For ever.
    fn work(&self) {
        loop {
            // The lock ends with this line.
            let next = self.lock().work.pop_front();
            match next {
                Some(work) => work(),
                None => {
                    memory::when_idle();
                    self.wait();
                }
            }
        }
    }

    fn wait(&self) {
        let mut waiting = self.lock();
        if waiting.work.is_empty() {
            waiting.idle += 1;
            let mut waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            waiting.idle -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does a short piece of work with files when a thread is free for it. Once begun, it is done to its end.
///
/// # Panics
/// As the work does.
pub async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, done) = oneshot::channel();
    QUEUE.push(Box::new(move || {
        if !sender.is_closed() {
            // Whoever asked may have gone meanwhile.
            let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
        }
    }));
    let outcome = done.await.expect("it is sent for as long as somebody waits");
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Has a short piece of work with files done when a thread is free for it. Nobody waits for it: not even the end of the process.
pub(crate) fn later_on_disk(name: &'static str, work: impl FnOnce() + Send + 'static) {
    QUEUE.push(Box::new(move || {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            let reason = super::panic_text(panic.as_ref());
            tracing::error!(work = name, reason, "work with files panicked");
        }
    }));
}

/// Has all these threads give back what is free of their memory.
pub(super) fn give_back() {
    QUEUE.more.notify_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_gives_back_its_outcome() {
        assert_eq!(on_disk(|| 1 + 1).await, 2);
    }

    #[tokio::test]
    #[should_panic(expected = "over 1")]
    async fn a_panic_goes_on_where_it_is_waited_for() {
        on_disk(|| panic!("over {}", 1)).await
    }
}

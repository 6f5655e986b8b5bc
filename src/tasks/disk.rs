//! Short pieces of work with files, on threads of their own.
//!
//! Thousands of apps may start together, and all of them take the processor from requests: the threads are few. They are always the
//! same, since what they allocate stays: spread over many threads, the pages of each would be half empty.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::LazyLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

use super::start_thread;
use crate::memory;

const THREADS: usize = 4;

/// # Panics
/// A thread can't be started, as with the threads of the async runtime.
static POOL: LazyLock<ThreadPool> = LazyLock::new(|| {
    ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .spawn_handler(|thread| start_thread("disk", || thread.run()))
        .build()
        .expect("a process can start a few threads")
});

/// Does a short piece of work with files when a thread is free for it. Once begun, it is done to its end.
///
/// # Panics
/// As the work does.
pub async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, done) = oneshot::channel();
    POOL.spawn_fifo(move || {
        if !sender.is_closed() {
            // Whoever asked may have gone meanwhile.
            let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
        }
    });
    let outcome = done.await.expect("it is sent for as long as somebody waits");
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Has all these threads give back what is free of their memory.
pub(super) fn give_back() {
    POOL.spawn_broadcast(|_| memory::when_idle());
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

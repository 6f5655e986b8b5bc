//! Named tasks, and the tokens that end them: lame duck, if that is wanted, then drain, then force; work that is done once for
//! all who want the same.

mod background;
mod disk;
mod flights;

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

pub use background::{Background, BackgroundTask, in_background, start_thread, thread_cpu};
pub(crate) use disk::later_on_disk;
pub use disk::on_disk;
pub(crate) use flights::Flights;

use crate::memory;

/// Spawns a task that carries its name in every log line below it.
///
/// A panic is logged here, where the name is known, and goes on to whoever awaits the handle. Aborting the handle
/// drops the future at its next await.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let span = tracing::debug_span!("task", name);
    // No async block: it would hold the future twice, as what it was given and as what it waits for.
    let guarded = AssertUnwindSafe(future).catch_unwind().map(move |outcome| {
        outcome.unwrap_or_else(|panic| {
            let reason = panic_text(panic.as_ref());
            tracing::error!(task = name, reason, "task panicked");
            std::panic::resume_unwind(panic)
        })
    });
    tokio::spawn(guarded.instrument(span))
}

/// Has the threads that stay give back what is free of their memory as soon as they have nothing to do.
pub(crate) fn give_back_memory() {
    memory::ask();
    disk::give_back();
    // Those of the async runtime that sleep have to wake up for it.
    for _ in 0..2 * Handle::current().metrics().num_workers() {
        spawn("wake up", tokio::task::yield_now());
    }
}

/// What a panic said, as far as it said it in words.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "a panic without words"
    }
}

/// How the process ends, step by step. Clones are handles to the same tokens.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    begins_lame: bool,
    lame_duck: CancellationToken,
    drain: CancellationToken,
    force: CancellationToken,
}

impl Ending {
    /// All steps ahead. `begins_lame`: there is a time for others to see that the process will end.
    pub fn new(begins_lame: bool) -> Ending {
        Ending {
            begins_lame,
            ..Ending::default()
        }
    }

    /// The next step: the meaning of a signal and of its repetition. The first call begins the lame duck's time, if there is
    /// one, and the next one the drain; one more forces.
    pub fn advance(&self) {
        if self.drain.is_cancelled() {
            self.force.cancel();
        } else if !self.begins_lame || self.lame_duck.is_cancelled() {
            // Last, for who waits for the first step and then looks whether the next one has begun.
            self.drain.cancel();
            self.lame_duck.cancel();
        } else {
            self.lame_duck.cancel();
        }
    }

    /// The process ends, and another one goes on in its place: nobody has to look elsewhere.
    pub fn hand_over(&self) {
        self.drain.cancel();
        self.lame_duck.cancel();
    }

    /// Cancelled when others are to see that the process will end, at the latest with the drain. All goes on as before.
    pub fn lame_duck(&self) -> &CancellationToken {
        &self.lame_duck
    }

    /// Cancelled when nothing new is to be begun and what is in flight is to finish.
    pub fn drain(&self) -> &CancellationToken {
        &self.drain
    }

    /// Cancelled when what is still in flight is to be dropped.
    pub fn force(&self) -> &CancellationToken {
        &self.force
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_gives_back_its_output() {
        assert_eq!(spawn("sum", async { 1 + 1 }).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_panic_reaches_whoever_awaits_the_task() {
        let error = spawn("falls", async { panic!("over {}", 1) }).await.unwrap_err();
        let panic: Box<dyn Any + Send> = error.into_panic();
        assert_eq!(panic_text(panic.as_ref()), "over 1");
    }

    #[test]
    fn the_first_signal_drains_and_the_second_forces() {
        let ending = Ending::new(false);
        let seen_elsewhere = ending.clone();
        ending.advance();
        assert!(seen_elsewhere.lame_duck().is_cancelled() && seen_elsewhere.drain().is_cancelled());
        assert!(!seen_elsewhere.force().is_cancelled());
        ending.advance();
        assert!(seen_elsewhere.force().is_cancelled());
    }

    #[test]
    fn a_lame_duck_takes_one_signal_more() {
        let ending = Ending::new(true);
        ending.advance();
        assert!(ending.lame_duck().is_cancelled() && !ending.drain().is_cancelled());
        ending.advance();
        assert!(ending.drain().is_cancelled() && !ending.force().is_cancelled());
        ending.advance();
        assert!(ending.force().is_cancelled());
    }
}

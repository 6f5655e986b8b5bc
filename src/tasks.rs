//! Named tasks, and the two tokens that end them: drain, then force.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

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
    let guarded = async move {
        match AssertUnwindSafe(future).catch_unwind().await {
            Ok(output) => output,
            Err(panic) => {
                let reason = panic_text(panic.as_ref());
                tracing::error!(task = name, reason, "task panicked");
                std::panic::resume_unwind(panic)
            }
        }
    };
    tokio::spawn(guarded.instrument(span))
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

/// How the process ends, in two steps. Clones are handles to the same two tokens.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    drain: CancellationToken,
    force: CancellationToken,
}

impl Ending {
    /// Both steps ahead.
    pub fn new() -> Ending {
        Ending::default()
    }

    /// The first call begins the drain, a second one forces: the meaning of a signal and of its repetition.
    pub fn advance(&self) {
        if self.drain.is_cancelled() {
            self.force.cancel();
        } else {
            self.drain.cancel();
        }
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
        let ending = Ending::new();
        let seen_elsewhere = ending.clone();
        ending.advance();
        assert!(seen_elsewhere.drain().is_cancelled());
        assert!(!seen_elsewhere.force().is_cancelled());
        ending.advance();
        assert!(seen_elsewhere.force().is_cancelled());
    }
}

//! The clock that makes running guests yield.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::Engine;

/// Time between two epochs (`docs/contract/runtime-config.md §9`).
pub(super) const TICK: Duration = Duration::from_millis(10);

/// A thread that moves the engine to its next epoch at every tick, until it is dropped.
///
/// A thread rather than a task: guests that burn the processor may occupy every worker of the
/// async runtime, and it is exactly then that the clock has to go on.
pub(super) struct EpochClock {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EpochClock {
    pub(super) fn start(engine: &Engine) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let engine = engine.weak();
        let thread = std::thread::Builder::new()
            .name("epoch-clock".into())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                    let Some(engine) = engine.upgrade() else { return };
                    engine.increment_epoch();
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for EpochClock {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A clock that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

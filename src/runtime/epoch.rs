//! The clock that makes running guests yield.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::engines::{EngineKind, Engines};

/// Time between two epochs while guests run: for so long can one that burns the processor hold a thread that others wait for.
/// Spin's ten milliseconds (`docs/contract/runtime-config.md §9`) are more than most requests take.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// The same while none runs, so that an idle process hardly wakes: the first guest to burn has so long.
const IDLE_TICK: Duration = Duration::from_millis(10);
/// How long the clock keeps its pace after it has last heard of a guest.
const AWAKE: Duration = Duration::from_millis(100);

/// A thread that moves the engines to their next epoch at every tick, until it is dropped.
///
/// A thread rather than a task: guests that burn the processor may occupy every worker of the
/// async runtime, and it is exactly then that the clock has to go on.
pub(super) struct EpochClock {
    active: Arc<AtomicBool>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EpochClock {
    pub(super) fn start(engines: &Engines) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let active = Arc::new(AtomicBool::new(false));
        let engines = EngineKind::ALL.map(|kind| engines.get(kind).weak());
        let heard = active.clone();
        let thread = std::thread::Builder::new()
            .name("epoch-clock".into())
            .spawn(move || {
                let mut last_heard = Instant::now();
                let mut tick = TICK;
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(tick) {
                    for engine in &engines {
                        let Some(engine) = engine.upgrade() else { return };
                        engine.increment_epoch();
                    }
                    let now = Instant::now();
                    if heard.swap(false, Ordering::Relaxed) {
                        last_heard = now;
                    }
                    tick = if now - last_heard < AWAKE { TICK } else { IDLE_TICK };
                }
            })?;
        Ok(Self {
            active,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What is set when a guest runs.
    pub(super) fn active(&self) -> &Arc<AtomicBool> {
        &self.active
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

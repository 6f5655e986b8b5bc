//! What one instance uses: the processor's time, measured around each poll of the future that drives its store.
//!
//! A budget is kept exactly, to the epoch clock's tick. Only a trial, which makes an instance to see that it can be made, is not measured: each
//! of its ticks counts as a whole one.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::Instrument as _;
use wasmtime::UpdateDeadline;

use super::epoch::TICK;
use super::overruns::LimitReached;
use super::turns::{AppShare, SAMPLE, Turn, Wanted};
use crate::tasks::{BackgroundTask, thread_cpu};

/// Epochs that an instance may run before it yields its thread to the others.
pub(super) const EPOCHS_BEFORE_YIELD: u64 = 1;

/// The measure of one instance. A cheap handle.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    share: AppShare,
    /// Of one request.
    budget: Option<Duration>,
    memory_refused: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Of the budget.
    left: Duration,
    /// The poll under way, if a [`Metered`] is polled.
    began: Option<Began>,
}

#[derive(Debug, Clone, Copy)]
enum Began {
    /// By the clock: who holds a thread long is watched from then on.
    At(Instant),
    /// By the processor's time of the thread: asking for it costs a system call, and a budget is worth that.
    Cpu(Duration),
    /// The same, of an app that is watched.
    Sample(Duration),
}

impl Began {
    fn used(self) -> Duration {
        match self {
            Self::At(instant) => instant.elapsed(),
            Self::Cpu(before) | Self::Sample(before) => thread_cpu().saturating_sub(before),
        }
    }
}

impl Meter {
    pub(super) fn new(share: AppShare, budget: Option<Duration>) -> Self {
        Self(Arc::new(Shared {
            share,
            budget,
            memory_refused: AtomicBool::new(false),
            state: Mutex::new(State {
                left: budget.unwrap_or_default(),
                began: None,
            }),
        }))
    }

    /// Drives an instance. Its errors say which limit was behind them.
    pub fn drive<F, T>(&self, future: F) -> Metered<F, T> {
        Metered::Here(Some(InTurn {
            meter: self.clone(),
            future,
            waiting: None,
        }))
    }

    /// One more request for an instance that has `at_once` of them, this one included: it brings the time that one may take,
    /// and nothing is saved up.
    pub fn request(&self, at_once: u32) {
        if let Some(budget) = self.0.budget {
            let mut state = self.lock();
            state.left = (state.left + budget).min(budget * at_once);
        }
    }

    /// The error, or the limit that led to it.
    pub fn explain(&self, error: wasmtime::Error) -> wasmtime::Error {
        match self.0.memory_refused.load(Ordering::Relaxed) && LimitReached::of(&error).is_none() {
            true => LimitReached::Memory.into(),
            false => error,
        }
    }

    pub(super) fn memory_refused(&self) {
        self.0.memory_refused.store(true, Ordering::Relaxed);
    }

    /// What the epoch clock does with a guest that runs at its tick.
    pub(super) fn tick(&self) -> wasmtime::Result<UpdateDeadline> {
        if self.0.budget.is_some() {
            let mut state = self.lock();
            let driven = state.began.is_some();
            let used = state.began.map_or(TICK, Began::used);
            if used >= state.left {
                return Err(LimitReached::CpuTime.into());
            }
            if !driven {
                state.left -= used;
            }
        }
        Ok(UpdateDeadline::Yield(EPOCHS_BEFORE_YIELD))
    }

    fn begin(&self) {
        let now = Instant::now();
        let began = match self.0.budget {
            Some(_) => Began::Cpu(thread_cpu()),
            None if self.0.share.is_sample(now) => Began::Sample(thread_cpu()),
            None => Began::At(now),
        };
        self.lock().began = Some(began);
    }

    fn end(&self) {
        let mut state = self.lock();
        if let Some(began) = state.began.take() {
            let used = began.used();
            match began {
                Began::At(_) => self.0.share.seems_held(used),
                Began::Cpu(_) => {
                    state.left = state.left.saturating_sub(used);
                    self.0.share.held(used, 1);
                }
                Began::Sample(_) => self.0.share.held(used, SAMPLE),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No panic can happen while it is held.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A future that drives an instance: here, until its app has become heavy, then in the background. Dropped, it ends the
/// instance, which may take a moment there.
pub enum Metered<F, T> {
    /// Empty only while it moves.
    Here(Option<InTurn<F>>),
    Elsewhere(BackgroundTask<wasmtime::Result<T>>),
}

impl<F, T> Metered<F, T> {
    /// Whether what the guest does may be seen before this future is polled again.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Elsewhere(_))
    }
}

impl<F, T> Future for Metered<F, T>
where
    F: Future<Output = wasmtime::Result<T>> + Unpin + Send + 'static,
    T: Send + 'static,
{
    type Output = wasmtime::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<wasmtime::Result<T>> {
        let this = &mut *self;
        if let Self::Here(here) = this
            && let Some(background) = here
                .as_ref()
                .and_then(|guest| guest.meter.0.share.elsewhere())
                .cloned()
            && let Some(guest) = here.take()
        {
            *this = Self::Elsewhere(background.spawn(guest.in_current_span()));
        }
        match this {
            Self::Here(Some(guest)) => Pin::new(guest).poll(cx),
            Self::Here(None) => Poll::Pending,
            Self::Elsewhere(task) => Pin::new(task).poll(cx),
        }
    }
}

/// Drives an instance when it has its turn on these threads.
pub struct InTurn<F> {
    meter: Meter,
    future: F,
    waiting: Option<oneshot::Receiver<Turn>>,
}

impl<F, T> Future for InTurn<F>
where
    F: Future<Output = wasmtime::Result<T>> + Unpin,
{
    type Output = wasmtime::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<wasmtime::Result<T>> {
        let this = &mut *self;
        let wanted = match this.waiting.take() {
            Some(waiting) => Some(Wanted::Later(waiting)),
            None => this.meter.0.share.turn(),
        };
        let turn = match wanted {
            None => None,
            Some(Wanted::Now(turn)) => Some(turn),
            Some(Wanted::Later(mut waiting)) => match Pin::new(&mut waiting).poll(cx) {
                // Turns outlive their shares: there is no error.
                Poll::Ready(turn) => turn.ok(),
                Poll::Pending => {
                    this.waiting = Some(waiting);
                    return Poll::Pending;
                }
            },
        };
        this.meter.begin();
        let polled = Pin::new(&mut this.future).poll(cx);
        this.meter.end();
        drop(turn);
        polled.map_err(|error| this.meter.explain(error))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::super::turns::Threads;
    use super::*;
    use crate::tasks::{Background, in_background};

    fn burn(time: Duration) {
        let start = thread_cpu();
        while thread_cpu() - start < time {
            std::hint::spin_loop();
        }
    }

    #[tokio::test]
    async fn only_the_instance_s_own_time_is_spent() {
        let budget = Duration::from_secs(60);
        let meter = Meter::new(AppShare::default(), Some(budget));
        let used = Duration::from_millis(5);
        let guest = Box::pin(async move {
            burn(used);
            tokio::task::yield_now().await;
            burn(used);
            Ok(())
        });
        let mut guest = meter.drive::<_, ()>(guest);
        assert!(futures::poll!(&mut guest).is_pending());
        burn(20 * used);
        guest.await.unwrap();
        let spent = budget - meter.lock().left;
        assert!((2 * used..15 * used).contains(&spent), "{spent:?}");
    }

    fn with_background() -> Meter {
        let threads = Threads::new(1, Some(Background::start(1).unwrap()));
        Meter::new(threads.share(), None)
    }

    /// As much as a guest may hold a thread at once.
    const BRIEF: Duration = Duration::from_millis(1);

    /// As much as is remembered: it is long enough paid back for a test on a slow machine.
    const MUCH: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn an_instance_goes_on_in_the_background_when_its_app_has_become_heavy() {
        let meter = with_background();
        let guest = Box::pin(async {
            let first = in_background();
            while !in_background() {
                burn(BRIEF);
                tokio::task::yield_now().await;
            }
            Ok(first)
        });
        assert!(!meter.drive(guest).await.unwrap());
        let next = Box::pin(async { Ok(in_background()) });
        assert!(meter.drive(next).await.unwrap());
    }

    #[tokio::test]
    async fn who_waits_for_the_processor_does_not_hold_it() {
        let meter = with_background();
        let guest = Box::pin(async {
            for _ in 0..200 {
                std::thread::sleep(BRIEF);
                tokio::task::yield_now().await;
            }
            Ok(in_background())
        });
        assert!(!meter.drive(guest).await.unwrap());
    }

    #[tokio::test]
    async fn an_instance_in_the_background_ends_with_whoever_drives_it() {
        let meter = with_background();
        meter.0.share.held(MUCH, 1);
        let (held, dropped) = oneshot::channel::<()>();
        let mut guest = meter.drive::<_, ()>(Box::pin(async move {
            let _held = held;
            std::future::pending().await
        }));
        assert!(futures::poll!(&mut guest).is_pending() && guest.is_elsewhere());
        drop(guest);
        assert!(dropped.await.is_err());
    }

    #[tokio::test]
    async fn a_panic_in_the_background_reaches_whoever_drives_the_instance() {
        let meter = with_background();
        meter.0.share.held(MUCH, 1);
        let falls = meter.drive::<_, ()>(Box::pin(async { panic!("in a host call") }));
        let panic = std::panic::AssertUnwindSafe(falls)
            .catch_unwind()
            .await
            .unwrap_err();
        assert_eq!(crate::tasks::panic_text(panic.as_ref()), "in a host call");
    }

    #[test]
    fn requests_bring_their_own_time_and_save_nothing() {
        let budget = Duration::from_millis(100);
        let meter = Meter::new(AppShare::default(), Some(budget));
        meter.request(1);
        assert_eq!(meter.lock().left, budget);
        meter.request(2);
        assert_eq!(meter.lock().left, 2 * budget);
        meter.request(1);
        assert_eq!(meter.lock().left, budget);
    }

    #[test]
    fn a_tick_of_a_trial_counts_as_a_whole_one() {
        let meter = Meter::new(AppShare::default(), Some(TICK + TICK / 2));
        assert!(matches!(meter.tick(), Ok(UpdateDeadline::Yield(_))));
        let Err(error) = meter.tick() else {
            panic!("more than the budget was used")
        };
        assert_eq!(LimitReached::of(&error), Some(LimitReached::CpuTime));
    }

    #[test]
    fn an_error_after_memory_was_refused_is_the_limit_s() {
        let meter = Meter::new(AppShare::default(), None);
        let trap = || wasmtime::Error::msg("unreachable");
        assert_eq!(LimitReached::of(&meter.explain(trap())), None);
        meter.memory_refused();
        assert_eq!(
            LimitReached::of(&meter.explain(trap())),
            Some(LimitReached::Memory)
        );
    }
}

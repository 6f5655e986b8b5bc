//! Work that makes way for everybody else: guests that compute for long.
//!
//! Its threads have the policy `SCHED_IDLE`: the kernel takes the processor from them as soon as another thread can run,
//! at once and not at the end of a slice of milliseconds. On an idle machine they are as fast as others, and on one whose
//! processors are all taken they nearly stand still. When that is seen, one more thread, which makes way for nobody, drives the
//! background alone for a while: whatever else runs on the machine, it gets the share of one thread.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use async_task::{FallibleTask, Runnable};
use futures::FutureExt as _;
use rustix::time::{ClockId, clock_gettime};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tokio::runtime::{Builder, Handle, Runtime};

/// Who has waited for longer for a thread, or for the processor while it was polled, has been kept from it. Several turns long.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long no thread that makes way is tried then.
const PAUSE: Duration = Duration::from_secs(1);
/// On which what runs in the background may block. All are started at once, by a thread that does not make way, and stay.
const BLOCKING_THREADS: usize = 8;
const FOR_GOOD: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What a thread does for the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    None,
    /// It drives what is ready, and makes way.
    MakesWay,
    /// It drives what the others neglect.
    Share,
}

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::None) };
}

/// Whether this thread drives the background.
pub fn in_background() -> bool {
    ROLE.get() != Role::None
}

/// The threads of the background. A cheap handle: with the last one they end, and what still waits there is dropped.
#[derive(Debug, Clone)]
pub struct Background(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    queue: Arc<Queue>,
    /// The timers and sockets of what runs here, its own tasks, and the threads on which it blocks. Threads that are started by one
    /// that makes way do so too, for good: those of another runtime would be lost for what else it does. Only `drop` takes it.
    runtime: Option<Runtime>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// For the threads that make way.
    more: Condvar,
    /// For the one that does not.
    some: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What can be polled, and since when.
    ready: VecDeque<(Instant, Runnable)>,
    /// Whether something has become ready since the thread that makes way for nobody looked last.
    moved: bool,
    /// Whether that thread looks again by itself. A guest that yields becomes ready a thousand times a second: it is not woken each time.
    watched: bool,
    /// Until when the threads that make way are left alone, if they were kept from the processor.
    stalled: Option<Instant>,
    ended: bool,
}

impl Background {
    /// As many threads as `threads` that make way.
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn start(threads: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_keep_alive(FOR_GOOD)
            .thread_name("background-io")
            .enable_all()
            .build()?;
        let all = Arc::new(Barrier::new(BLOCKING_THREADS));
        for _ in 0..BLOCKING_THREADS {
            let all = all.clone();
            // None ends, and could take the work of the next, before all are there.
            runtime.spawn_blocking(move || all.wait());
        }
        let (queue, handle) = (Arc::new(Queue::default()), runtime.handle().clone());
        // Made first: where a thread fails, its drop ends the others.
        let background = Self(Arc::new(Owner {
            queue: queue.clone(),
            runtime: Some(runtime),
        }));
        for _ in 0..threads {
            drive(&queue, &handle, Role::MakesWay, |queue| {
                give_way();
                while let Some(runnable) = queue.next() {
                    let (started, before) = (Instant::now(), thread_cpu());
                    runnable.run();
                    if started.elapsed().saturating_sub(thread_cpu() - before) > PATIENCE {
                        queue.stall();
                    }
                }
            })?;
        }
        drive(&queue, &handle, Role::Share, |queue| {
            while let Some(runnable) = queue.neglected() {
                runnable.run();
            }
        })?;
        Ok(background)
    }

    /// Drives the future there.
    pub fn spawn<F>(&self, future: F) -> BackgroundTask<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let queue = self.0.queue.clone();
        let schedule = move |runnable| queue.push(runnable);
        let (runnable, task) = async_task::spawn(AssertUnwindSafe(future).catch_unwind(), schedule);
        runnable.schedule();
        BackgroundTask(task.fallible())
    }
}

/// A future that is driven in the background. When it is dropped, the other is: there, and a little later.
#[derive(Debug)]
pub struct BackgroundTask<T>(FallibleTask<Result<T, Box<dyn Any + Send>>>);

impl<T> Future for BackgroundTask<T> {
    type Output = T;

    /// A panic there goes on here.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match Pin::new(&mut self.0).poll(cx) {
            Poll::Ready(Some(output)) => Poll::Ready(output.unwrap_or_else(|panic| resume_unwind(panic))),
            // The background has ended, and with it the process.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Starts a thread that does not make way, whoever asks for it.
///
/// # Errors
/// It can't be started.
pub fn start_thread(name: &'static str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let start = move || thread::Builder::new().name(name.into()).spawn(work).map(drop);
    if ROLE.get() != Role::MakesWay {
        return start();
    }
    let (started, outcome) = mpsc::channel();
    Handle::current().spawn(async move { started.send(start()) });
    outcome
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the process ends")))
}

fn drive(
    queue: &Arc<Queue>,
    runtime: &Handle,
    role: Role,
    run: impl FnOnce(&Queue) + Send + 'static,
) -> io::Result<()> {
    let (queue, runtime) = (queue.clone(), runtime.clone());
    let name = match role {
        Role::Share => "background-one",
        _ => "background",
    };
    thread::Builder::new().name(name.into()).spawn(move || {
        ROLE.set(role);
        let _entered = runtime.enter();
        run(&queue);
    })?;
    Ok(())
}

/// For good. Where the kernel refuses, the work is done all the same.
fn give_way() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
        tracing::debug!(?error, "a thread can't make way for others");
    }
}

impl Queue {
    fn push(&self, runnable: Runnable) {
        let mut state = self.lock();
        if state.ended {
            // After the lock: what is dropped may wake others of its kind.
            drop(state);
            return drop(runnable);
        }
        state.ready.push_back((Instant::now(), runnable));
        state.moved = true;
        let is_only_one = state.ready.len() == 1;
        let looks_away = !std::mem::replace(&mut state.watched, true);
        let is_stalled = state.stalled_for().is_some();
        drop(state);
        // A guest that yields is polled again where it was, and not by another thread that has to be woken for it.
        if !(is_only_one && ROLE.get() == Role::MakesWay) {
            self.more.notify_one();
        }
        if looks_away || is_stalled {
            self.some.notify_one();
        }
    }

    /// For a thread that makes way.
    fn next(&self) -> Option<Runnable> {
        let mut state = self.lock();
        while !state.ended {
            if let Some(left) = state.stalled_for() {
                state = wait(&self.more, state, Some(left));
            } else if let Some((_, runnable)) = state.ready.pop_front() {
                return Some(runnable);
            } else {
                state = wait(&self.more, state, None);
            }
        }
        None
    }

    /// For the one that does not: what has waited for long, or all while the others are left alone.
    fn neglected(&self) -> Option<Runnable> {
        let mut state = self.lock();
        while !state.ended {
            let is_stalled = state.stalled_for().is_some();
            let waited = state.ready.front().map(|(since, _)| since.elapsed());
            let has_moved = std::mem::take(&mut state.moved);
            match waited {
                Some(waited) if is_stalled || waited >= PATIENCE => {
                    if !is_stalled {
                        state.stall();
                    }
                    return state.ready.pop_front().map(|(_, runnable)| runnable);
                }
                None if !has_moved => {
                    state.watched = false;
                    state = wait(&self.some, state, None);
                }
                _ => {
                    let left = PATIENCE - waited.unwrap_or_default();
                    state = wait(&self.some, state, Some(left));
                }
            }
        }
        None
    }

    /// The threads that make way were kept from the processor.
    fn stall(&self) {
        self.lock().stall();
        self.some.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No panic can happen while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stall(&mut self) {
        self.stalled = Some(Instant::now() + PAUSE);
    }

    fn stalled_for(&self) -> Option<Duration> {
        let left = self.stalled?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

fn wait<'a>(
    condition: &Condvar,
    state: MutexGuard<'a, State>,
    at_most: Option<Duration>,
) -> MutexGuard<'a, State> {
    match at_most {
        None => condition.wait(state).unwrap_or_else(PoisonError::into_inner),
        Some(time) => {
            condition
                .wait_timeout(state, time)
                .unwrap_or_else(PoisonError::into_inner)
                .0
        }
    }
}

/// What this thread has had of the processor.
pub fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // A clock that counts up from zero has no negative parts.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

impl Drop for Owner {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.queue.lock();
            state.ended = true;
            std::mem::take(&mut state.ready)
        };
        drop(waiting);
        self.queue.more.notify_all();
        self.queue.some.notify_all();
        if let Some(runtime) = self.runtime.take() {
            // The last handle may be dropped by a task, which must not wait for others.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use thread_priority::thread_schedule_policy;

    use super::*;

    const IDLE: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);

    fn makes_way() -> bool {
        thread_schedule_policy().unwrap() == IDLE
    }

    #[tokio::test]
    async fn its_threads_make_way_and_have_the_timers_of_the_others() {
        let background = Background::start(1).unwrap();
        let task = background.spawn(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            in_background()
        });
        assert!(task.await && !in_background() && !makes_way());
    }

    #[tokio::test]
    async fn threads_that_others_start_there_do_not_make_way() {
        let background = Background::start(1).unwrap();
        let started = background.spawn(async {
            let blocking = tokio::task::spawn_blocking(makes_way).await.unwrap();
            let task = tokio::spawn(async { makes_way() }).await.unwrap();
            let (policy, told) = mpsc::channel();
            start_thread("started", move || policy.send(makes_way()).unwrap()).unwrap();
            [blocking, task, told.recv().unwrap()]
        });
        assert_eq!(started.await, [false; 3]);
    }

    #[tokio::test]
    async fn what_waits_for_long_is_driven_by_a_thread_that_makes_way_for_nobody() {
        let background = Background::start(1).unwrap();
        let (release, held) = mpsc::channel::<()>();
        let holds = background.spawn(async move {
            let first = makes_way();
            // It has no other such thread.
            held.recv().unwrap();
            first
        });
        // Either may be the one of the two threads that got the first.
        let second = background.spawn(async { makes_way() }).await;
        release.send(()).unwrap();
        assert_ne!(holds.await, second);
    }

    #[tokio::test]
    async fn threads_that_get_no_processor_are_left_alone() {
        let background = Background::start(1).unwrap();
        background.0.queue.stall();
        assert!(!background.spawn(async { makes_way() }).await);
        background.0.queue.lock().stalled = None;
        // A busy machine may keep the thread from it once more.
        while !background.spawn(async { makes_way() }).await {}
    }

    #[tokio::test]
    async fn a_task_is_dropped_with_its_handle() {
        let background = Background::start(1).unwrap();
        let (held, dropped) = tokio::sync::oneshot::channel::<()>();
        let task = background.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await
        });
        drop(task);
        assert!(dropped.await.is_err());
    }

    #[tokio::test]
    async fn a_task_is_dropped_also_when_the_threads_have_ended() {
        let background = Background::start(1).unwrap();
        let (held, dropped) = tokio::sync::oneshot::channel::<()>();
        let task = background.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await
        });
        drop(background);
        drop(task);
        assert!(dropped.await.is_err());
    }
}

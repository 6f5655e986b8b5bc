//! What an instance does, and who drives it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::{mem, thread};

use futures::FutureExt as _;
use futures::future::BoxFuture;

/// An instance's work. Its own task drives it, and so does at once whoever has a request for it while it rests: that wakes nobody.
pub(super) struct Seat {
    work: Mutex<Work>,
    /// Of its own task, which wakes for whatever the work waits for, whoever drove it last.
    waker: OnceLock<Waker>,
    /// The task came while somebody else was at it.
    missed: AtomicBool,
}

enum Work {
    Going(BoxFuture<'static, thread::Result<()>>),
    Over(thread::Result<()>),
    /// Its task has ended with it.
    Told,
}

/// An instance's task.
pub(super) struct Driver(Arc<Seat>);

impl Driver {
    /// `work` is given its seat.
    pub(super) fn new<F>(work: impl FnOnce(Weak<Seat>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new_cyclic(|seat| {
            let work = AssertUnwindSafe(work(seat.clone())).catch_unwind();
            Seat {
                work: Mutex::new(Work::Going(work.boxed())),
                waker: OnceLock::new(),
                missed: AtomicBool::new(false),
            }
        }))
    }
}

impl Seat {
    /// Drives the work once, as its task would. `false`: that is left to the task.
    pub(super) fn drive(&self) -> bool {
        let Some(waker) = self.waker.get() else {
            return false;
        };
        let Ok(mut work) = self.work.try_lock() else {
            return false;
        };
        let is_over = work.poll(&mut Context::from_waker(waker));
        drop(work);
        if is_over || self.missed.swap(false, Ordering::SeqCst) {
            waker.wake_by_ref();
        }
        true
    }
}

impl Work {
    /// Whether it is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if let Self::Going(work) = self
            && let Poll::Ready(ended) = work.poll_unpin(cx)
        {
            *self = Self::Over(ended);
        }
        !matches!(self, Self::Going(_))
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let seat = &self.0;
        seat.waker.get_or_init(|| cx.waker().clone());
        // Before it is tried: whoever is at it looks at this afterwards.
        seat.missed.store(true, Ordering::SeqCst);
        let Ok(mut work) = seat.work.try_lock() else {
            return Poll::Pending;
        };
        seat.missed.store(false, Ordering::SeqCst);
        if !work.poll(cx) {
            return Poll::Pending;
        }
        let over = mem::replace(&mut *work, Work::Told);
        drop(work);
        match over {
            Work::Over(Err(panic)) => resume_unwind(panic),
            _ => Poll::Ready(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc;

    use futures::task::{ArcWake, waker};

    use super::*;

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Woken(std::sync::atomic::AtomicUsize);

    impl ArcWake for Woken {
        fn wake_by_ref(woken: &Arc<Self>) {
            woken.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Woken {
        fn times(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    /// The task after its first turn, its seat, and its wakings.
    fn seated<F>(work: F) -> (Driver, Arc<Seat>, Arc<Woken>)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut driver = Driver::new(|_| work);
        let (seat, woken) = (driver.0.clone(), Arc::<Woken>::default());
        assert!(!seat.drive());
        assert!(turn(&mut driver, &woken).is_pending());
        (driver, seat, woken)
    }

    fn turn(driver: &mut Driver, woken: &Arc<Woken>) -> Poll<()> {
        driver.poll_unpin(&mut Context::from_waker(&waker(woken.clone())))
    }

    /// Work of so many turns; `each` is told which one it is.
    fn of_turns(turns: usize, each: impl Fn(usize) + Send + 'static) -> impl Future<Output = ()> + Send {
        let mut turn = 0;
        poll_fn(move |_| {
            turn += 1;
            each(turn);
            if turn < turns {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
    }

    #[test]
    fn work_that_another_drives_to_its_end_ends_its_task() {
        let (mut driver, seat, woken) = seated(of_turns(3, |_| {}));
        assert!(seat.drive());
        assert_eq!(woken.times(), 0);
        assert!(seat.drive());
        assert_eq!(woken.times(), 1);
        assert!(turn(&mut driver, &woken).is_ready());
    }

    #[test]
    fn a_panic_is_the_task_s_whoever_drives() {
        let (mut driver, seat, woken) = seated(of_turns(2, |turn| assert!(turn < 2, "in a host call")));
        assert!(seat.drive());
        let fallen = std::panic::catch_unwind(AssertUnwindSafe(|| turn(&mut driver, &woken)));
        let panic = fallen.unwrap_err();
        assert_eq!(crate::tasks::panic_text(panic.as_ref()), "in a host call");
    }

    #[test]
    fn a_task_that_came_in_between_has_its_turn_afterwards() {
        let (begun, has_begun) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let (mut driver, seat, woken) = seated(of_turns(9, move |turn| {
            if turn == 2 {
                begun.send(()).unwrap();
                may_go_on.recv().unwrap();
            }
        }));
        let other = std::thread::spawn(move || seat.drive());
        has_begun.recv().unwrap();
        assert!(turn(&mut driver, &woken).is_pending());
        assert_eq!(woken.times(), 0);
        go_on.send(()).unwrap();
        assert!(other.join().unwrap());
        assert_eq!(woken.times(), 1);
    }
}

//! How an instance gets its next request.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;

use super::pool::{Pool, Visit};
use super::seat::Seat;

/// Where an instance finds its next request.
pub(super) struct Inbox {
    /// The instance's.
    seat: Weak<Seat>,
    state: Mutex<State>,
    waker: AtomicWaker,
    /// By the instance, in this turn.
    looked_at: AtomicBool,
}

#[derive(Default)]
enum State {
    /// Nothing is wanted.
    #[default]
    Quiet,
    /// It is among the pool's offers, or whoever took it from there is about to put something in.
    Offered,
    Full(Box<Visit>),
    Closed,
}

/// An instance's side of its inbox. What is in it when the instance ends goes to another one.
pub(super) struct Desk {
    pool: Arc<Pool>,
    inbox: Arc<Inbox>,
}

impl Inbox {
    /// Gives it back if the instance takes no more, which otherwise has to be told.
    pub(super) fn put(&self, visit: Box<Visit>) -> Result<(), Box<Visit>> {
        let mut state = self.lock();
        match *state {
            State::Offered => *state = State::Full(visit),
            State::Quiet | State::Full(_) | State::Closed => return Err(visit),
        }
        Ok(())
    }

    /// Has the instance look.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    /// Has the instance look now, in the caller's turn, if it rests.
    pub(super) fn look_now(&self) {
        if !self.seat.upgrade().is_some_and(|seat| seat.drive()) {
            self.wake();
        }
    }

    /// The instance is about to run; whether something waits for it.
    pub(super) fn begin_turn(&self) -> bool {
        self.looked_at.store(false, Ordering::Relaxed);
        matches!(*self.lock(), State::Full(_))
    }

    /// What has waited for a whole turn of the instance, which did not look.
    pub(super) fn take_neglected(&self) -> Option<Box<Visit>> {
        match self.looked_at.load(Ordering::Relaxed) {
            true => None,
            false => self.take(),
        }
    }

    fn take(&self) -> Option<Box<Visit>> {
        let mut state = self.lock();
        match mem::take(&mut *state) {
            State::Full(visit) => Some(visit),
            other => {
                *state = other;
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No panic can happen while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    pub(super) fn new(pool: Arc<Pool>, seat: Weak<Seat>) -> Self {
        let inbox = Arc::new(Inbox {
            seat,
            state: Mutex::default(),
            waker: AtomicWaker::new(),
            looked_at: AtomicBool::new(false),
        });
        Self { pool, inbox }
    }

    pub(super) fn inbox(&self) -> Arc<Inbox> {
        self.inbox.clone()
    }

    /// One more request is welcome.
    pub(super) fn offer(&self) {
        let mut state = self.inbox.lock();
        if let State::Quiet = *state {
            *state = State::Offered;
            drop(state);
            self.pool.offers().push(self.inbox.clone());
        }
    }

    /// None is for now. One that is under way comes all the same.
    pub(super) fn withdraw(&self) {
        if !matches!(*self.inbox.lock(), State::Offered) {
            return;
        }
        let mut offers = self.pool.offers();
        let before = offers.len();
        offers.retain(|inbox| !Arc::ptr_eq(inbox, &self.inbox));
        let is_withdrawn = offers.len() < before;
        drop(offers);
        if is_withdrawn {
            *self.inbox.lock() = State::Quiet;
        }
    }

    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Box<Visit>> {
        self.inbox.waker.register(cx.waker());
        self.inbox.looked_at.store(true, Ordering::Relaxed);
        self.inbox.take().map_or(Poll::Pending, Poll::Ready)
    }

    /// None is taken any more.
    pub(super) fn close(&self) {
        self.withdraw();
        let last = mem::replace(&mut *self.inbox.lock(), State::Closed);
        if let State::Full(visit) = last {
            self.pool.give(visit);
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.close();
    }
}

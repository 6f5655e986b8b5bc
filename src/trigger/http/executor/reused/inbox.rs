//! How an instance gets its next request.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;

use super::pool::{Pool, Visit};

/// Where an instance finds its next request.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    waker: AtomicWaker,
}

#[derive(Default)]
enum State {
    #[default]
    Empty,
    Full(Box<Visit>),
    Closed,
}

/// An instance's side of its inbox. What is in it when the instance ends goes to another one.
pub(super) struct Desk {
    pool: Arc<Pool>,
    inbox: Arc<Inbox>,
    /// Until somebody has taken it up.
    offered: bool,
}

impl Inbox {
    pub(super) fn put(&self, visit: Box<Visit>) -> Result<(), Box<Visit>> {
        let mut state = lock(&self.state);
        match *state {
            State::Empty => *state = State::Full(visit),
            // An offer is taken up once.
            State::Full(_) | State::Closed => return Err(visit),
        }
        drop(state);
        self.waker.wake();
        Ok(())
    }
}

impl Desk {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        Self {
            pool,
            inbox: Arc::default(),
            offered: false,
        }
    }

    /// One more request is welcome, or none is for now. One that is under way comes all the same.
    pub(super) fn offer(&mut self, welcome: bool) {
        match (welcome, self.offered) {
            (true, false) => self.pool.offers().push(self.inbox.clone()),
            (false, true) => self
                .pool
                .offers()
                .retain(|inbox| !Arc::ptr_eq(inbox, &self.inbox)),
            (true, true) | (false, false) => return,
        }
        self.offered = welcome;
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Box<Visit>> {
        self.inbox.waker.register(cx.waker());
        let mut state = lock(&self.inbox.state);
        match mem::take(&mut *state) {
            State::Full(visit) => {
                self.offered = false;
                Poll::Ready(visit)
            }
            other => {
                *state = other;
                Poll::Pending
            }
        }
    }

    /// None is taken any more.
    pub(super) fn close(&mut self) {
        self.offer(false);
        let last = mem::replace(&mut *lock(&self.inbox.state), State::Closed);
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

/// None of these locks is held where a panic could poison it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

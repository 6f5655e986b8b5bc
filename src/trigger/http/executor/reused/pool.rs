//! The instances of one component, and which of them gets a request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use http::{Request, Response};
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;

use super::inbox::Inbox;
use super::instance;
use crate::runtime::HostState;
use crate::trigger::guest::Guest;
use crate::trigger::http::exchange::ClientWatch;
use crate::trigger::http::executor::GuestError;

/// Instances of one component at one depth of chained calls.
pub(super) struct Pool {
    pub(super) pre: ServicePre<HostState>,
    pub(super) guest: Arc<Guest>,
    pub(super) depth: u8,
    /// That one instance may serve in all.
    pub(super) max_requests: usize,
    /// Of the instances that would take one more request, the one that offered it last at the end: it is the likeliest to be in the
    /// processor's caches, and those that are not needed become old.
    offers: Mutex<Vec<Arc<Inbox>>>,
}

/// One request on its way to an instance.
pub(super) struct Visit {
    pub(super) client: ClientWatch,
    pub(super) request: Request<WasiBody>,
    /// Dropped without an answer: the instance ended before it had one.
    pub(super) answer: oneshot::Sender<wasmtime::Result<Response<WasiBody>>>,
}

impl Pool {
    pub(super) fn new(pre: ServicePre<HostState>, guest: Arc<Guest>, depth: u8, max_requests: usize) -> Self {
        Self {
            pre,
            guest,
            depth,
            max_requests,
            offers: Mutex::default(),
        }
    }

    pub(super) async fn handle(
        self: &Arc<Self>,
        client: ClientWatch,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, GuestError> {
        let (answer, answered) = oneshot::channel();
        let placed = self.place(Box::new(Visit {
            client,
            request,
            answer,
        }));
        if let Some(inbox) = placed {
            match self.depth {
                0 => inbox.look_now(),
                // It comes within a guest's turn, in which no other can have one.
                _ => inbox.wake(),
            }
        }
        let answer = answered.await.map_err(|_| GuestError::InstanceEnded)?;
        answer.map_err(|error| match error.downcast_ref::<ErrorCode>() {
            Some(code) => GuestError::ErrorCode(format!("{code:?}")),
            None => GuestError::of_engine(error),
        })
    }

    /// To an instance that would take it, or to a new one.
    pub(super) fn give(self: &Arc<Self>, visit: Box<Visit>) {
        if let Some(inbox) = self.place(visit) {
            inbox.wake();
        }
    }

    /// The inbox that has it, of an instance that has to be told. `None`: it is with a new one.
    fn place(self: &Arc<Self>, mut visit: Box<Visit>) -> Option<Arc<Inbox>> {
        loop {
            let Some(inbox) = self.offers().pop() else {
                instance::start(self.clone(), visit);
                return None;
            };
            match inbox.put(visit) {
                Ok(()) => return Some(inbox),
                Err(back) => visit = back,
            }
        }
    }

    pub(super) fn offers(&self) -> MutexGuard<'_, Vec<Arc<Inbox>>> {
        // No panic can happen while it is held.
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! One instance at work, from its first request to its last.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::task::AtomicWaker;
use futures::{FutureExt as _, StreamExt as _};
use http::Response;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;
use wasmtime::component::{Accessor, Func};
use wasmtime::{AsContextMut as _, Store};
use wasmtime_wasi_http::handler::{Prepared, Proxy};
use wasmtime_wasi_http::{WasiBody, WasiHttpView as _};

use super::inbox::Desk;
use super::pool::{Pool, Visit};
use super::seat::{Driver, Seat};
use crate::metrics::Failure;
use crate::runtime::{HostState, Meter};
use crate::tasks;
use crate::telemetry;
use crate::trigger::guest::Guest;
use crate::trigger::http::exchange::Clients;

/// Requests that one instance may serve at once, where it need not be known which of them it is at.
const MAX_CONCURRENT_REQUESTS: usize = 16;
/// How long an instance without work is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// One instance.
struct Instance {
    pool: Arc<Pool>,
    seat: Weak<Seat>,
    clients: Arc<Clients>,
    rest: Arc<Rest>,
    meter: Meter,
    max_concurrent: usize,
}

/// Since when an instance has had nothing to do.
#[derive(Default)]
struct Rest {
    since: Mutex<Option<Instant>>,
    /// Of who watches it from outside.
    waker: AtomicWaker,
}

/// Makes an instance, which begins with this request.
pub(super) fn start(pool: Arc<Pool>, first: Box<Visit>) {
    let in_flight = pool.guest.life.in_flight.token();
    tasks::spawn(
        "instance",
        Driver::new(|seat| async move {
            run(pool, first, seat).await;
            drop(in_flight);
        }),
    );
}

async fn run(pool: Arc<Pool>, first: Box<Visit>, seat: Weak<Seat>) {
    let guest = pool.guest.clone();
    let store = match guest.store(pool.pre.instance_pre(), pool.depth, None) {
        Ok(store) => store,
        Err(error) => return first.answer(Err(error)),
    };
    let meter = store.data().meter().clone();
    let (clients, rest) = <(Arc<Clients>, Arc<Rest>)>::default();
    let instance = Instance {
        pool,
        seat,
        clients: clients.clone(),
        rest: rest.clone(),
        meter: meter.clone(),
        max_concurrent: match telemetry::is_traced() {
            // What it sends belongs to the request that it has.
            true => 1,
            false => MAX_CONCURRENT_REQUESTS,
        },
    };
    let mut expiration = Expiration::new(&guest, clients.clone(), rest);
    let mut work = meter.drive(instance.work(store, first).boxed());
    // A guest that computes keeps everything else in its store from being polled: whether it has to go is seen from here.
    let ended = poll_fn(|cx| match work.poll_unpin(cx) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending => expiration.poll(cx, work.is_elsewhere()).map(|()| None),
    });
    let ended = ended.await;
    drop(work);
    if let Some(Err(error)) = ended
        && !guest.life.force.is_cancelled()
        && !clients.is_abandoned()
        && !guest.settings.limits.caused(&error)
    {
        guest.settings.limits.overruns.metrics().fail(Failure::Trap);
        tracing::error!(
            app = %guest.settings.app,
            component = %guest.settings.component,
            error = format!("{error:?}"),
            "the guest failed"
        );
    }
}

impl Instance {
    async fn work(self, mut store: Store<HostState>, first: Box<Visit>) -> wasmtime::Result<()> {
        let service = match self.pool.pre.instantiate_async(&mut store).await {
            Ok(service) => service,
            Err(error) => {
                first.answer(Err(self.meter.explain(error)));
                return Ok(());
            }
        };
        let handle = *service.wasi_http_handler().func_handle().func();
        let service = Proxy::P3(service);
        let begun = AtomicBool::new(false);
        let desk = Desk::new(self.pool.clone(), self.seat.clone());
        let inbox = desk.inbox();
        let mut served = pin!(store.run_concurrent(async |accessor| {
            self.serve(accessor, &service, handle, first, desk, &begun).await
        }));
        // Dropped before the work, whose end ends bodies as if they were whole.
        let cut_off = CutOff(Some(&self));
        let served = poll_fn(|cx| {
            let was_full = inbox.begin_turn();
            let polled = match served.as_mut().poll(cx) {
                // A guest that has begun may compute for long, and others are better off elsewhere: they are welcome now that it waits.
                Poll::Pending if begun.swap(false, Ordering::Relaxed) => served.as_mut().poll(cx),
                polled => polled,
            };
            // A guest that waited computes now, and did not stop for the next request. It goes on elsewhere.
            if was_full && let Some(visit) = inbox.take_neglected() {
                self.pool.give(visit);
            }
            polled
        });
        served.await.flatten()?;
        cut_off.done();
        Ok(())
    }

    /// `begun`: set when a request has begun since it was last cleared.
    async fn serve(
        &self,
        accessor: &Accessor<HostState>,
        service: &Proxy,
        handle: Func,
        first: Box<Visit>,
        desk: Desk,
        begun: &AtomicBool,
    ) -> wasmtime::Result<()> {
        let mut calls = FuturesUnordered::new();
        let mut next = Some(first);
        let mut total = 0;
        poll_fn(|cx| {
            loop {
                if let Some(visit) = next.take() {
                    total += 1;
                    begun.store(true, Ordering::Relaxed);
                    self.rest.end();
                    let gone = visit.client.gone().cancelled_owned();
                    let prepared = self.begin(accessor, service, visit)?;
                    calls.push(prepared.run(accessor, gone));
                }
                if let Poll::Ready(Some(ended)) = calls.poll_next_unpin(cx) {
                    ended?;
                    continue;
                }
                let is_ready = accessor.poll_ready_for_concurrent_call(handle, cx).is_ready();
                let is_last = total >= self.pool.max_requests || self.clients.any_left();
                if is_last {
                    desk.close();
                } else {
                    let waits = calls.is_empty() || !begun.load(Ordering::Relaxed);
                    match is_ready && waits && calls.len() < self.max_concurrent {
                        true => desk.offer(),
                        false => desk.withdraw(),
                    }
                }
                if let Poll::Ready(visit) = desk.poll_next(cx) {
                    match calls.len() < self.max_concurrent {
                        true => next = Some(visit),
                        // It was under way already.
                        false => self.pool.give(visit),
                    }
                    continue;
                }
                if !calls.is_empty() || accessor.poll_no_interesting_tasks(cx).is_pending() {
                    return Poll::Pending;
                }
                if is_last {
                    return Poll::Ready(Ok(()));
                }
                begun.store(false, Ordering::Relaxed);
                self.rest.begin();
                return Poll::Pending;
            }
        })
        .await
    }

    fn begin<'s>(
        &self,
        accessor: &Accessor<HostState>,
        service: &'s Proxy,
        visit: Box<Visit>,
    ) -> wasmtime::Result<Prepared<'s, HostState>> {
        let Visit {
            client,
            request,
            answer,
        } = *visit;
        accessor.with(|mut access| {
            let store = access.as_context_mut();
            client.served_by(&self.clients);
            store.data().span().set(client.span());
            self.meter.request(self.clients.waiting());
            Prepared::new(store, service, request, HostState::http, answer)
        })
    }
}

/// Tells an instance's clients, if it has any, that it ended before it was done.
struct CutOff<'i>(Option<&'i Instance>);

impl CutOff<'_> {
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for CutOff<'_> {
    fn drop(&mut self) {
        if let Some(instance) = self.0
            && instance.rest.since().is_none()
        {
            instance.clients.cut_off();
        }
    }
}

impl Visit {
    fn answer(self, answer: wasmtime::Result<Response<WasiBody>>) {
        // Whoever asked may be gone.
        let _ = self.answer.send(answer);
    }
}

impl Rest {
    fn begin(&self) {
        let mut since = self.lock();
        if since.is_none() {
            *since = Some(Instant::now());
            drop(since);
            self.waker.wake();
        }
    }

    fn end(&self) {
        *self.lock() = None;
    }

    fn since(&self) -> Option<Instant> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        // No panic can happen while it is held.
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When an instance has to go.
struct Expiration {
    clients: Arc<Clients>,
    rest: Arc<Rest>,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    forced: Pin<Box<WaitForCancellationFutureOwned>>,
    /// When to look next whether it has been idle for long.
    look: Pin<Box<Sleep>>,
}

impl Expiration {
    fn new(guest: &Guest, clients: Arc<Clients>, rest: Arc<Rest>) -> Self {
        Self {
            clients,
            rest,
            draining: Box::pin(guest.life.drain.clone().cancelled_owned()),
            forced: Box::pin(guest.life.force.clone().cancelled_owned()),
            look: Box::pin(tokio::time::sleep(IDLE_TIMEOUT)),
        }
    }

    /// `elsewhere`: what the instance does is not seen by who polls this.
    fn poll(&mut self, cx: &mut Context<'_>, elsewhere: bool) -> Poll<()> {
        if elsewhere {
            self.rest.waker.register(cx.waker());
        }
        let expired = self.clients.poll_all_left(cx).is_ready()
            || self.forced.as_mut().poll(cx).is_ready()
            || self.is_idle_for_long(cx)
            || (self.rest.since().is_some() && self.draining.as_mut().poll(cx).is_ready());
        if expired { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_idle_for_long(&mut self, cx: &mut Context<'_>) -> bool {
        // Not set anew at each request: it rings too early, and looks.
        while self.look.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let end = self.rest.since().unwrap_or(now) + IDLE_TIMEOUT;
            if end <= now {
                return true;
            }
            self.look.as_mut().reset(end);
        }
        false
    }
}

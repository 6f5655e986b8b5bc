//! `wasi:http/handler@0.3`: an instance serves several requests, some of them at once
//! (`docs/contract/http-trigger.md §6.4`).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use http::{Request, Response};
use tokio::sync::oneshot;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tokio_util::task::task_tracker::TaskTrackerToken;
use wasmtime::component::{GuestTaskId, InstancePre};
use wasmtime::{AsContextMut as _, Store, StoreContextMut};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, InstantiationError, Prepared, Proxy, ProxyHandler, ShouldAccept,
    TrapOrPanicError, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

use super::{GuestError, once};
use crate::metrics::Failure;
use crate::runtime::{HostState, MAX_CHAIN_DEPTH, Meter};
use crate::telemetry;
use crate::trigger::guest::Guest;
use crate::trigger::http::exchange::{ClientWatch, Clients};

/// Requests that one instance may serve in all.
const MAX_REQUESTS: usize = 128;
/// Requests that one instance may serve at once, where it need not be known which of them it is at.
const MAX_CONCURRENT_REQUESTS: usize = 16;
/// How long an instance without work is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// A component whose instances are used again.
pub(in crate::trigger::http) struct ReusedInstances {
    pre: ServicePre<HostState>,
    max_requests: usize,
    /// One pool for each depth of chained calls: what an instance sends out carries the depth of the requests
    /// it serves, so all of these must be of one depth.
    pools: Vec<OnceLock<ProxyHandler<Pool>>>,
}

impl ReusedInstances {
    /// For a final 0.3 handler.
    pub(in crate::trigger::http) fn new(pre: ServicePre<HostState>) -> Self {
        Self::with_max_requests(pre, MAX_REQUESTS)
    }

    /// For a handler of a release candidate: one request each.
    pub(in crate::trigger::http) fn single_use(pre: ServicePre<HostState>) -> Self {
        Self::with_max_requests(pre, 1)
    }

    fn with_max_requests(pre: ServicePre<HostState>, max_requests: usize) -> Self {
        let pools = (0..=MAX_CHAIN_DEPTH).map(|_| OnceLock::new()).collect();
        Self {
            pre,
            max_requests,
            pools,
        }
    }

    pub(super) fn instance_pre(&self) -> &InstancePre<HostState> {
        self.pre.instance_pre()
    }

    pub(super) async fn handle(
        &self,
        guest: &Arc<Guest>,
        request: Request<WasiBody>,
        depth: u8,
        client: ClientWatch,
    ) -> Result<Response<WasiBody>, GuestError> {
        if guest.settings.limits.share.elsewhere().is_some() {
            return self.serve_one(guest, request, depth, client).await;
        }
        // The dispatcher refuses what is deeper.
        let pool = self.pools[usize::from(depth.min(MAX_CHAIN_DEPTH))].get_or_init(|| {
            let max_requests = self.max_requests;
            ProxyHandler::new(Pool {
                pre: self.pre.clone(),
                guest: guest.clone(),
                depth,
                max_requests,
            })
        });
        pool.handle(client, request).await.map_err(of_handler)
    }

    /// With an instance that nobody else has: the engine drives those that are shared in the foreground, and this one is for the
    /// background. An app that belongs there computes for so long that making the instance does not count.
    async fn serve_one(
        &self,
        guest: &Arc<Guest>,
        request: Request<WasiBody>,
        depth: u8,
        client: ClientWatch,
    ) -> Result<Response<WasiBody>, GuestError> {
        let mut store = guest.store(depth, client.span()).map_err(GuestError::of_engine)?;
        let (response, responded) = oneshot::channel();
        let (gone, request_id) = (client.gone(), client.request_id().cloned());
        let (pre, left) = (self.pre.clone(), gone.clone().cancelled_owned());
        let meter = store.data().meter().clone();
        let call = async move {
            let cut_off = client.cut_off_unless_done();
            let service = Proxy::P3(pre.instantiate_async(&mut store).await?);
            let (answer, mut answered) = futures::channel::oneshot::channel();
            let context = store.as_context_mut();
            let prepared = Prepared::new(context, &service, request, HostState::http, answer)?;
            let served = store.run_concurrent(async |accessor| {
                prepared.run(accessor, left).await?;
                if let Ok(Some(answer)) = answered.try_recv() {
                    // Whoever asked may be gone.
                    let _ = response.send(answer);
                }
                // Its body, and whatever else it has begun.
                poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
                Ok(())
            });
            served.await.flatten()?;
            cut_off.done();
            Ok(())
        };
        let call = meter.drive(call.boxed());
        once::respond(guest, gone, request_id, call, responded)
            .await?
            .map_err(of_handler)
    }
}

/// What went wrong where the engine calls a handler of 0.3.
fn of_handler(error: wasmtime::Error) -> GuestError {
    if error.is::<TrapOrPanicError>() {
        GuestError::InstanceEnded
    } else if let Some(error) = error.downcast_ref::<ErrorCode>() {
        GuestError::ErrorCode(format!("{error:?}"))
    } else if let Some(error) = error.downcast_ref::<InstantiationError<ClientWatch>>()
        && let Some(limit) = GuestError::of_limit(&error.error)
    {
        limit
    } else {
        GuestError::of_engine(error)
    }
}

/// Makes the instances of one component at one depth.
struct Pool {
    pre: ServicePre<HostState>,
    guest: Arc<Guest>,
    depth: u8,
    max_requests: usize,
}

impl HandlerState for Pool {
    type StoreData = HostState;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<HostState, Expiration, Worker>> {
        let mut store = self.guest.store(self.depth, None)?;
        let meter = store.data().meter().clone();
        let service = self.pre.instantiate_async(&mut store).await;
        let service = service.map_err(|error| meter.explain(error))?;
        let clients = Arc::new(Clients::default());
        Ok(Instance {
            store,
            proxy: Proxy::P3(service),
            view: HostState::http,
            expiration: Expiration {
                clients: clients.clone(),
                draining: Box::pin(self.guest.life.drain.clone().cancelled_owned()),
                forced: Box::pin(self.guest.life.force.clone().cancelled_owned()),
                idle: None,
                meter: meter.clone(),
            },
            state: Worker {
                guest: self.guest.clone(),
                clients,
                meter,
                max_requests: self.max_requests,
                max_concurrent: match telemetry::is_traced() {
                    // What it sends belongs to the request that it has.
                    true => 1,
                    false => MAX_CONCURRENT_REQUESTS,
                },
                _in_flight: self.guest.life.in_flight.token(),
            },
        })
    }
}

/// One instance at work.
struct Worker {
    guest: Arc<Guest>,
    clients: Arc<Clients>,
    meter: Meter,
    max_requests: usize,
    max_concurrent: usize,
    _in_flight: TaskTrackerToken,
}

impl WorkerState for Worker {
    type StoreData = HostState;
    type RequestData = ClientWatch;

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        // It is asked between two pieces of the guest's work: the guest does not run now.
        self.meter.pause();
        if total >= self.max_requests || self.clients.any_left() {
            ShouldAccept::Never
        } else if concurrent >= self.max_concurrent {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        store: StoreContextMut<'_, HostState>,
        client: ClientWatch,
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        client.served_by(&self.clients);
        store.data().span().set(client.span());
        self.meter.request(self.clients.waiting());
        Box::pin(client.gone().cancelled_owned())
    }

    fn drop(&self, store: Store<HostState>, result: wasmtime::Result<()>) {
        if result.is_err() {
            self.clients.cut_off();
        }
        drop(store);
        self.meter.pause();
        if let Err(error) = result.map_err(|error| self.meter.explain(error))
            && !self.guest.life.force.is_cancelled()
            && !self.clients.is_abandoned()
            && !self.guest.settings.limits.caused(&error)
        {
            self.guest.settings.limits.overruns.metrics().fail(Failure::Trap);
            tracing::error!(
                app = %self.guest.settings.app,
                component = %self.guest.settings.component,
                error = format!("{error:?}"),
                "the guest failed"
            );
        }
    }
}

/// When an instance has to go.
struct Expiration {
    clients: Arc<Clients>,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    forced: Pin<Box<WaitForCancellationFutureOwned>>,
    idle: Option<Pin<Box<Sleep>>>,
    meter: Meter,
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        status: WorkerStatus,
        start: Instant,
    ) -> Poll<()> {
        // It is asked whenever the instance has nothing to do for now.
        self.meter.pause();
        let expired = self.clients.poll_all_left(cx).is_ready()
            || self.forced.as_mut().poll(cx).is_ready()
            || (status == WorkerStatus::Idle && (self.is_draining(cx) || self.is_idle_for_long(cx, start)));
        if expired { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Expiration {
    fn is_draining(&mut self, cx: &mut Context<'_>) -> bool {
        self.draining.as_mut().poll(cx).is_ready()
    }

    fn is_idle_for_long(&mut self, cx: &mut Context<'_>, start: Instant) -> bool {
        let deadline = tokio::time::Instant::from_std(start + IDLE_TIMEOUT);
        let idle = self
            .idle
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if idle.deadline() != deadline {
            idle.as_mut().reset(deadline);
        }
        idle.as_mut().poll(cx).is_ready()
    }
}

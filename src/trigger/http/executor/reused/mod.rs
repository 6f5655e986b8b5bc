//! `wasi:http/handler@0.3`: an instance serves several requests, some of them at once
//! (`docs/contract/http-trigger.md §6.4`).
//!
//! `wasmtime-wasi-http` has a handler that does so, in tasks that it drives itself. Here every instance is driven as those of other
//! handlers are: the time of its polls is measured, and it makes way for others when its app is heavy.

mod inbox;
mod instance;
mod pool;
mod seat;

use std::sync::{Arc, OnceLock};

use http::{Request, Response};
use wasmtime::component::InstancePre;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use self::pool::Pool;
use super::GuestError;
use crate::runtime::{HostState, MAX_CHAIN_DEPTH};
use crate::trigger::guest::Guest;
use crate::trigger::http::exchange::ClientWatch;

/// Requests that one instance may serve in all.
const MAX_REQUESTS: usize = 128;

/// A component whose instances are used again.
pub(in crate::trigger::http) struct ReusedInstances {
    pre: ServicePre<HostState>,
    max_requests: usize,
    /// One pool for each depth of chained calls: what an instance sends out carries the depth of the requests
    /// it serves, so all of these must be of one depth.
    pools: Vec<OnceLock<Arc<Pool>>>,
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
        // The dispatcher refuses what is deeper.
        let pool = self.pools[usize::from(depth.min(MAX_CHAIN_DEPTH))].get_or_init(|| {
            let pool = Pool::new(self.pre.clone(), guest.clone(), depth, self.max_requests);
            Arc::new(pool)
        });
        pool.handle(client, request).await
    }
}

//! One way of calling a guest for each kind of handler it may export (`docs/contract/http-trigger.md §5, §6`).

mod buffered;
mod fresh;
mod reused;

use std::sync::Arc;

use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmtime::Store;
use wasmtime_wasi_http::WasiBody;

pub(super) use buffered::BufferedInstances;
pub(super) use fresh::FreshInstances;
pub(super) use reused::ReusedInstances;

use super::exchange::ClientWatch;
use crate::host::OutboundHttp;
use crate::runtime::{HostState, InstanceSettings, Runtime};

/// Why a guest gave no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum GuestError {
    #[error("the guest trapped")]
    Trap(#[source] wasmtime::Error),
    #[error("the guest ended without a response")]
    NoResponse,
    #[error("the guest answered with the error {0}")]
    ErrorCode(String),
    #[error("the guest's response can't be sent: {0}")]
    BadResponse(&'static str),
    #[error("a request header is not UTF-8 text")]
    BadHeader,
    /// The cause has been logged where it was known.
    #[error("the instance that had the request ended")]
    InstanceEnded,
    #[error("the request's method can't be expressed")]
    MethodNotAllowed,
    #[error("the request's body is larger than a guest of this kind can be given")]
    BodyTooLarge,
}

/// What it takes to make instances of one component.
pub(super) struct Guest {
    pub(super) runtime: Runtime,
    pub(super) settings: InstanceSettings,
    pub(super) outbound: OutboundHttp,
    pub(super) life: Life,
}

impl Guest {
    /// A store for an instance that answers at `depth` chained calls.
    pub(super) fn store(&self, depth: u8) -> wasmtime::Result<Store<HostState>> {
        let state = HostState::new(&self.settings, self.outbound.hooks(depth))?;
        Ok(self.runtime.store(state))
    }

    /// The one line that a failure of the guest is worth; `{:?}` of an engine's error has the Wasm backtrace.
    pub(super) fn log_failure(&self, error: &wasmtime::Error) {
        tracing::error!(
            app = %self.settings.app,
            component = %self.settings.component,
            error = format!("{error:?}"),
            "the guest failed after its response had begun"
        );
    }
}

/// The end of one version of an app, as its instances see it.
#[derive(Clone, Default)]
pub(super) struct Life {
    /// Cancelled when no new request will come: idle instances go.
    pub(super) drain: CancellationToken,
    /// Cancelled when everything has to end now.
    pub(super) force: CancellationToken,
    /// Counts requests, responses and instances that are still at work.
    pub(super) in_flight: TaskTracker,
}

/// How one component is called.
pub(super) enum Executor {
    Fresh(FreshInstances),
    Reused(ReusedInstances),
    Buffered(BufferedInstances),
}

impl Executor {
    /// Gives the request to a guest and waits for the head of its response.
    pub(super) async fn handle(
        &self,
        guest: &Arc<Guest>,
        request: Request<WasiBody>,
        depth: u8,
        client: ClientWatch,
    ) -> Result<Response<WasiBody>, GuestError> {
        match self {
            Self::Fresh(executor) => executor.handle(guest, request, depth, client).await,
            Self::Reused(executor) => executor.handle(guest, request, depth, client).await,
            Self::Buffered(executor) => executor.handle(guest, request, depth, client).await,
        }
    }

    /// Makes one instance and throws it away: what can't be instantiated must not replace what works.
    pub(super) async fn try_instantiate(&self, guest: &Guest) -> wasmtime::Result<()> {
        let mut store = guest.store(0)?;
        let pre = match self {
            Self::Fresh(executor) => executor.instance_pre(),
            Self::Reused(executor) => executor.instance_pre(),
            Self::Buffered(executor) => executor.instance_pre(),
        };
        pre.instantiate_async(&mut store).await?;
        Ok(())
    }
}

//! One way of calling a guest for each kind of handler it may export (`docs/contract/http-trigger.md §5, §6`).

mod buffered;
mod fresh;
mod linked;
mod once;
mod reused;
mod wagi;

use std::future::Future;
use std::sync::Arc;

use http::{Request, Response};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_http::WasiBody;

use buffered::BufferedInstances;
use fresh::FreshInstances;
pub(super) use linked::OnDemand;
use reused::ReusedInstances;
pub(super) use wagi::PathMatches;
use wagi::WagiInstances;

use super::exchange::ClientWatch;
use super::prepare::PrepareError;
use super::request_id::RequestId;
use crate::metrics::Failure;
use crate::runtime::{LimitReached, is_exhausted};
use crate::tasks;
use crate::trigger::guest::Guest;

/// Bytes of a body that is held whole: what the contract caps buffered results at (`docs/contract/host-interfaces.md §3`).
const MAX_HELD: usize = 128 << 20;

/// Why a guest gave no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum GuestError {
    #[error("the guest trapped")]
    Trap(#[source] wasmtime::Error),
    /// It was there when the app was prepared.
    #[error("the component's code can't be had")]
    Code(#[source] PrepareError),
    /// The operator's limit and not the guest's mistake: counted, and told once a minute.
    #[error(transparent)]
    Limit(LimitReached),
    /// The client may ask again.
    #[error("there are as many instances as there may be")]
    Exhausted,
    #[error("the guest ended without a response")]
    NoResponse,
    #[error("the guest exited with the code {0}")]
    ExitCode(i32),
    #[error("the guest answered with the error {0}")]
    ErrorCode(String),
    #[error("the guest's response can't be sent: {0}")]
    BadResponse(&'static str),
    #[error("a request header is not UTF-8 text")]
    BadHeader,
    /// The cause has been logged where it was known.
    #[error("the instance that had the request ended")]
    InstanceEnded,
    /// The client left, or took too long.
    #[error("the request's body broke off")]
    BodyBrokeOff,
    #[error("the request's method can't be expressed")]
    MethodNotAllowed,
    #[error("the request's body is larger than a guest of this kind can be given")]
    BodyTooLarge,
}

impl GuestError {
    /// What an engine's error is.
    fn of_engine(error: wasmtime::Error) -> Self {
        Self::of_limit(&error).unwrap_or(Self::Trap(error))
    }

    /// What it counts as; `None` for what is no failure of the guest's.
    pub(super) fn failure(&self) -> Option<Failure> {
        Some(match self {
            Self::Trap(_) => Failure::Trap,
            Self::Code(_) => Failure::Code,
            Self::NoResponse => Failure::NoResponse,
            Self::ExitCode(_) => Failure::ExitCode,
            Self::ErrorCode(_) => Failure::ErrorCode,
            Self::BadResponse(_) => Failure::BadResponse,
            Self::InstanceEnded => Failure::InstanceEnded,
            Self::Limit(_)
            | Self::Exhausted
            | Self::BadHeader
            | Self::BodyBrokeOff
            | Self::MethodNotAllowed
            | Self::BodyTooLarge => return None,
        })
    }

    /// What an engine's error is, if it is no fault of the guest's.
    fn of_limit(error: &wasmtime::Error) -> Option<Self> {
        if is_exhausted(error) {
            return Some(Self::Exhausted);
        }
        LimitReached::of(error).map(Self::Limit)
    }
}

/// The one line that a failure of the guest is worth; `{:?}` of an engine's error has the Wasm backtrace.
pub(super) fn log_failure(guest: &Guest, request_id: Option<&RequestId>, error: &wasmtime::Error) {
    if guest.settings.limits.caused(error) {
        return;
    }
    guest.settings.limits.overruns.metrics().fail(Failure::LateTrap);
    tracing::error!(
        app = %guest.settings.app,
        component = %guest.settings.component,
        request_id = request_id.map(tracing::field::display),
        error = format!("{error:?}"),
        "the guest failed after its response had begun"
    );
}

/// Runs a call of the guest in a task of its own. It ends with no outcome when the client is gone, or when the app is
/// forced to stop.
fn spawn<T: Send + 'static>(
    guest: &Guest,
    gone: CancellationToken,
    call: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<Option<T>> {
    let force = guest.life.force.clone();
    let in_flight = guest.life.in_flight.token();
    tasks::spawn("guest", async move {
        let _in_flight = in_flight;
        tokio::select! {
            biased;
            outcome = call => Some(outcome),
            () = gone.cancelled() => None,
            () = force.cancelled() => None,
        }
    })
}

/// How one component is called.
pub(super) enum Executor {
    Fresh(FreshInstances),
    Reused(ReusedInstances),
    Buffered(BufferedInstances),
    Wagi(WagiInstances),
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
            Self::Wagi(executor) => executor.handle(guest, request, depth, client).await,
        }
    }

    /// Makes one instance and throws it away: what can't be instantiated must not replace what works.
    pub(super) async fn try_instantiate(&self, guest: &Guest) -> wasmtime::Result<()> {
        let pre = match self {
            Self::Fresh(executor) => executor.instance_pre(),
            Self::Reused(executor) => executor.instance_pre(),
            Self::Buffered(executor) => executor.instance_pre(),
            Self::Wagi(executor) => return executor.try_instantiate(guest).await,
        };
        guest.try_instantiate(pre).await
    }
}

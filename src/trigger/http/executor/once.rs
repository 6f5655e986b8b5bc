//! An instance that serves one request, and what it may still do after its response has begun.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::Response;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_http::WasiBody;

use super::{GuestError, log_failure, spawn};
use crate::runtime::Metered;
use crate::tasks;
use crate::trigger::guest::Guest;
use crate::trigger::http::request_id::RequestId;

/// One call of a guest. Its response is said on the way.
pub(super) type Call = Metered<BoxFuture<'static, wasmtime::Result<()>>, ()>;

/// What the guest responds. It begins within the task of its connection, and most end there. One that goes on after it has set its
/// response, to stream a body or to work in the background, does so in a task of its own.
pub(super) async fn respond<E>(
    guest: &Arc<Guest>,
    gone: CancellationToken,
    request_id: Option<RequestId>,
    mut call: Call,
    mut responded: oneshot::Receiver<Result<Response<WasiBody>, E>>,
) -> Result<Result<Response<WasiBody>, E>, GuestError> {
    let ended = poll_fn(|cx| match poll_caught(&mut call, cx) {
        Poll::Ready(ended) => Poll::Ready((Some(ended), responded.try_recv().ok())),
        // A response is set by the guest, and thus when it is polled: no other waker is needed while that is done here.
        Poll::Pending if !call.is_elsewhere() => match responded.try_recv() {
            Ok(response) => Poll::Ready((None, Some(response))),
            Err(_) => Poll::Pending,
        },
        Poll::Pending if responded.is_terminated() => Poll::Pending,
        Poll::Pending => match Pin::new(&mut responded).poll(cx) {
            Poll::Ready(Ok(response)) => Poll::Ready((None, Some(response))),
            // There will be none, but the guest may go on.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        },
    });
    let (ended, response) = ended.await;
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) if response.is_none() => return Err(GuestError::of_engine(error)),
        Some(Err(error)) => log_failure(guest, request_id.as_ref(), &error),
        None => {
            let logged = guest.clone();
            spawn(guest, gone, async move {
                // Nobody waits for it: the response is on its way already.
                if let Err(error) = call.await {
                    log_failure(&logged, request_id.as_ref(), &error);
                }
            });
        }
    }
    response.ok_or(GuestError::NoResponse)
}

/// A panic in the host is a failure of this guest, and not of the others on the same connection.
fn poll_caught(call: &mut Call, cx: &mut Context<'_>) -> Poll<wasmtime::Result<()>> {
    // The call is not polled again after a panic.
    let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(call).poll(cx)));
    polled.unwrap_or_else(|panic| {
        let reason = tasks::panic_text(panic.as_ref());
        Poll::Ready(Err(wasmtime::format_err!("a defect of the host: {reason}")))
    })
}

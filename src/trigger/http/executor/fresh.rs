//! `wasi:http/incoming-handler`: a fresh instance for each request (`docs/contract/http-trigger.md §6.2`).

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::InstancePre;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

use super::{GuestError, log_failure, spawn};
use crate::host::wasi_rc::{Handler, ResponseSender};
use crate::runtime::HostState;
use crate::tasks;
use crate::trigger::guest::Guest;
use crate::trigger::http::exchange::ClientWatch;

/// A component that is instantiated for every request.
pub(in crate::trigger::http) enum FreshInstances {
    /// `wasi:http/incoming-handler@0.2`
    Wasi02(ProxyPre<HostState>),
    /// The same of a release candidate of 2023.
    Candidate(Handler<HostState>),
}

impl FreshInstances {
    pub(super) fn instance_pre(&self) -> &InstancePre<HostState> {
        match self {
            Self::Wasi02(pre) => pre.instance_pre(),
            Self::Candidate(handler) => handler.instance_pre(),
        }
    }

    /// The guest begins within the task of its connection, and most end there. One that goes on after it has set its
    /// response, to stream a body or to work in the background, does so in a task of its own.
    pub(super) async fn handle(
        &self,
        guest: &Arc<Guest>,
        request: Request<WasiBody>,
        depth: u8,
        client: ClientWatch,
    ) -> Result<Response<WasiBody>, GuestError> {
        let store = guest.store(depth, client.span()).map_err(GuestError::of_engine)?;
        let (response, mut responded) = oneshot::channel();
        let (gone, request_id) = (client.gone(), client.request_id().cloned());
        let meter = store.data().meter().clone();
        let mut call = meter.drive(self.call(store, request, response, client));
        // A response is set by the guest, and thus when it is polled: no other waker is needed.
        let ended = poll_fn(|cx| match poll_caught(&mut call, cx) {
            Poll::Ready(ended) => Poll::Ready((Some(ended), responded.try_recv())),
            Poll::Pending => match responded.try_recv() {
                Ok(response) => Poll::Ready((None, Ok(response))),
                Err(_) => Poll::Pending,
            },
        });
        let (ended, response) = ended.await;
        match ended {
            Some(Ok(())) => {}
            Some(Err(error)) if response.is_err() => return Err(GuestError::of_engine(error)),
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
        match response {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(code)) => Err(GuestError::ErrorCode(format!("{code:?}"))),
            Err(_) => Err(GuestError::NoResponse),
        }
    }

    fn call(
        &self,
        mut store: Store<HostState>,
        request: Request<WasiBody>,
        response: ResponseSender,
        client: ClientWatch,
    ) -> BoxFuture<'static, wasmtime::Result<()>> {
        // Spin says `http` behind TLS too.
        let scheme = Scheme::Http;
        match self {
            Self::Wasi02(pre) => {
                let pre = pre.clone();
                async move {
                    let cut_off = client.cut_off_unless_done();
                    let request = store.data_mut().http().new_incoming_request(scheme, request)?;
                    let outparam = store.data_mut().http().new_response_outparam(response)?;
                    let proxy = pre.instantiate_async(&mut store).await?;
                    proxy
                        .wasi_http_incoming_handler()
                        .call_handle(&mut store, request, outparam)
                        .await?;
                    cut_off.done();
                    Ok(())
                }
                .boxed()
            }
            Self::Candidate(handler) => {
                let handler = handler.clone();
                async move {
                    let cut_off = client.cut_off_unless_done();
                    handler.handle(&mut store, scheme, request, response).await?;
                    cut_off.done();
                    Ok(())
                }
                .boxed()
            }
        }
    }
}

/// A panic in the host is a failure of this guest, and not of the others on the same connection.
fn poll_caught<F>(call: &mut F, cx: &mut Context<'_>) -> Poll<wasmtime::Result<()>>
where
    F: Future<Output = wasmtime::Result<()>> + Unpin,
{
    // The call is not polled again after a panic.
    let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(call).poll(cx)));
    polled.unwrap_or_else(|panic| {
        let reason = tasks::panic_text(panic.as_ref());
        Poll::Ready(Err(wasmtime::format_err!("a defect of the host: {reason}")))
    })
}

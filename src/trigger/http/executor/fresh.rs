//! `wasi:http/incoming-handler`: a fresh instance for each request (`docs/contract/http-trigger.md §6.2`).

use std::sync::Arc;

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

    /// The guest goes on after it has set its response: it streams the body, and may work in the background.
    pub(super) async fn handle(
        &self,
        guest: &Arc<Guest>,
        request: Request<WasiBody>,
        depth: u8,
        client: ClientWatch,
    ) -> Result<Response<WasiBody>, GuestError> {
        let store = guest.store(depth).map_err(GuestError::Trap)?;
        let (response, responded) = oneshot::channel();
        let (failure, mut failed) = oneshot::channel();
        let (gone, request_id) = (client.gone(), client.request_id().cloned());
        let meter = store.data().meter().clone();
        let call = meter.drive(self.call(store, request, response, client));
        let (logged, name) = (guest.clone(), request_id.clone());
        spawn(guest, gone, async move {
            if let Err(error) = call.await
                && let Err(error) = failure.send(error)
            {
                // Nobody waits for it: the response is on its way already.
                log_failure(&logged, name.as_ref(), &error);
            }
        });
        match responded.await {
            Ok(Ok(response)) => {
                // From here on the guest's task logs a failure itself; it may have failed since it set the response.
                failed.close();
                if let Ok(error) = failed.try_recv() {
                    log_failure(guest, request_id.as_ref(), &error);
                }
                Ok(response)
            }
            Ok(Err(code)) => Err(GuestError::ErrorCode(format!("{code:?}"))),
            Err(_) => match failed.await {
                Ok(error) => Err(GuestError::of_engine(error)),
                Err(_) => Err(GuestError::NoResponse),
            },
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

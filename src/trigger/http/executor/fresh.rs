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

use super::{GuestError, once};
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

    pub(super) async fn handle(
        &self,
        guest: &Arc<Guest>,
        request: Request<WasiBody>,
        depth: u8,
        client: ClientWatch,
    ) -> Result<Response<WasiBody>, GuestError> {
        let store = guest
            .store(self.instance_pre(), depth, client.span())
            .map_err(GuestError::of_engine)?;
        let (response, responded) = oneshot::channel();
        let (gone, request_id) = (client.gone(), client.request_id().cloned());
        let meter = store.data().meter().clone();
        let call = meter.drive(self.call(store, request, response, client));
        let response = once::respond(guest, gone, request_id, call, responded).await?;
        response.map_err(|code| GuestError::ErrorCode(format!("{code:?}")))
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

//! `fermyon:spin/inbound-http`: one call with the whole request, one value back (`docs/contract/http-trigger.md §6.1`).

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use wasmtime::component::InstancePre;
use wasmtime_wasi_http::WasiBody;

use self::bindings::SpinHttpPre;
use self::bindings::exports::fermyon::spin::inbound_http;
use self::bindings::fermyon::spin::http_types::Method as SpinMethod;
use super::{GuestError, MAX_HELD, spawn};
use crate::runtime::HostState;
use crate::trigger::guest::Guest;
use crate::trigger::http::exchange::ClientWatch;
use crate::trigger::http::respond::full;

/// Statuses that such a guest may give.
const STATUSES: std::ops::RangeInclusive<u16> = 100..=600;

mod bindings {
    wasmtime::component::bindgen!({
        world: "fermyon:spin/spin-http",
        path: "wit/host",
        exports: { default: async },
    });
}

/// A component that is instantiated for every request, and sees no streams.
pub(in crate::trigger::http) struct BufferedInstances {
    pre: SpinHttpPre<HostState>,
}

impl BufferedInstances {
    pub(in crate::trigger::http) fn new(pre: InstancePre<HostState>) -> wasmtime::Result<Self> {
        Ok(Self {
            pre: SpinHttpPre::new(pre)?,
        })
    }

    pub(super) fn instance_pre(&self) -> &InstancePre<HostState> {
        self.pre.instance_pre()
    }

    /// A client that goes, or an app that is forced to stop, ends the guest.
    pub(super) async fn handle(
        &self,
        guest: &Arc<Guest>,
        request: Request<WasiBody>,
        depth: u8,
        client: ClientWatch,
    ) -> Result<Response<WasiBody>, GuestError> {
        let request = buffer(request).await?;
        let mut store = guest
            .store(self.instance_pre(), depth, client.span())
            .map_err(GuestError::of_engine)?;
        let pre = self.pre.clone();
        let meter = store.data().meter().clone();
        let call = async move {
            let instance = pre.instantiate_async(&mut store).await?;
            instance
                .fermyon_spin_inbound_http()
                .call_handle_request(&mut store, &request)
                .await
        };
        match spawn(guest, client.gone(), meter.drive(Box::pin(call))).await {
            Ok(Some(Ok(reply))) => response(reply),
            Ok(Some(Err(error))) => Err(GuestError::of_engine(error)),
            Ok(None) | Err(_) => Err(GuestError::InstanceEnded),
        }
    }
}

async fn buffer(request: Request<WasiBody>) -> Result<inbound_http::Request, GuestError> {
    let (parts, body) = request.into_parts();
    let method = method(&parts.method).ok_or(GuestError::MethodNotAllowed)?;
    let mut headers = Vec::with_capacity(parts.headers.len());
    for (name, value) in &parts.headers {
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| GuestError::BadHeader)?;
        headers.push((name.to_string(), value.to_owned()));
    }
    let body = collect(body).await?;
    Ok(inbound_http::Request {
        method,
        uri: parts
            .uri
            .path_and_query()
            .map_or_else(|| "/".into(), |path| path.to_string()),
        headers,
        params: Vec::new(),
        body: Some(body.to_vec()),
    })
}

/// The whole body of a request, for a guest that sees no streams.
pub(super) async fn collect(body: WasiBody) -> Result<Bytes, GuestError> {
    let collected = Limited::new(body, MAX_HELD).collect().await;
    let collected = collected.map_err(|error| match error.is::<LengthLimitError>() {
        true => GuestError::BodyTooLarge,
        false => GuestError::BodyBrokeOff,
    });
    Ok(collected?.to_bytes())
}

fn method(method: &Method) -> Option<SpinMethod> {
    Some(match *method {
        Method::GET => SpinMethod::Get,
        Method::POST => SpinMethod::Post,
        Method::PUT => SpinMethod::Put,
        Method::DELETE => SpinMethod::Delete,
        Method::PATCH => SpinMethod::Patch,
        Method::HEAD => SpinMethod::Head,
        Method::OPTIONS => SpinMethod::Options,
        _ => return None,
    })
}

fn response(reply: inbound_http::Response) -> Result<Response<WasiBody>, GuestError> {
    let status = Some(reply.status).filter(|status| STATUSES.contains(status));
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = Response::new(full(Bytes::from(reply.body.unwrap_or_default())));
    *response.status_mut() = status.ok_or(GuestError::BadResponse("its status is not one of 100 to 600"))?;
    for (name, value) in reply.headers.unwrap_or_default() {
        let bad = || GuestError::BadResponse("a header has a name or a value that is not allowed");
        let name = HeaderName::try_from(name).map_err(|_| bad())?;
        let value = HeaderValue::try_from(value).map_err(|_| bad())?;
        // As Spin does: of a repeated name the last value stays.
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

//! `fermyon:spin/http`, the outbound HTTP of the first generation (`docs/contract/host-interfaces.md §5.5`): a request
//! and its response as whole values, over the same way out as `wasi:http`.

mod hop;
mod response;

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView};

use self::bindings::fermyon::spin::http::Host;
use self::bindings::fermyon::spin::http_types::{HttpError, Request, Response};
use self::hop::{Hop, SELF_PREFIX};
use super::context::ComponentContext;
use super::permission::OutboundPermission;
use crate::runtime::HostState;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "http",
        imports: { default: async | trappable },
    });
}

/// What an address is taken for that names no scheme.
const DEFAULT_SCHEME: &str = "https";
/// Redirects that are followed for one request, as many as Spin's client follows.
const MAX_REDIRECTS: usize = 10;

/// What a component may reach.
pub(super) struct SpinHttp {
    permission: Arc<OutboundPermission>,
}

impl SpinHttp {
    pub(super) fn of(context: &ComponentContext<'_>) -> Self {
        Self {
            permission: context.permission.clone(),
        }
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::fermyon::spin::http::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

impl bindings::fermyon::spin::http_types::Host for HostState {}

impl Host for HostState {
    async fn send_request(&mut self, request: Request) -> wasmtime::Result<Result<Response, HttpError>> {
        // The app's own routes are checked on the way out, as they are for `wasi:http`.
        if !request.uri.starts_with(SELF_PREFIX) {
            let permission = self.interface::<SpinHttp>()?.permission.clone();
            if !permission.allows(&request.uri, DEFAULT_SCHEME).await {
                return Ok(Err(HttpError::DestinationNotAllowed));
            }
        }
        Ok(match Hop::first(request) {
            Ok(hop) => follow(self, hop).await,
            Err(error) => Err(error),
        })
    }
}

/// Every hop is checked like a request of its own, so that a server can't send a guest where it may not go.
async fn follow(state: &mut HostState, mut hop: Hop) -> Result<Response, HttpError> {
    for _ in 0..=MAX_REDIRECTS {
        let response = send(state, &hop).await?;
        hop = match hop.redirected(&response)? {
            Some(next) => next,
            None => return response::read(response).await,
        };
    }
    tracing::debug!("a request was redirected too often");
    Err(HttpError::RuntimeError)
}

async fn send(state: &mut HostState, hop: &Hop) -> Result<http::Response<WasiBody>, HttpError> {
    let message = hop.message()?;
    let no_report = Box::new(async { Ok(()) });
    let sending = state.http().hooks.send_request(message, None, no_report);
    match Box::into_pin(sending).await {
        Ok((response, _)) => Ok(response),
        Err(error) => Err(told(&error)),
    }
}

fn told(error: &Error) -> HttpError {
    match error {
        Error::HttpRequestDenied => HttpError::DestinationNotAllowed,
        Error::ConnectionLimitReached => HttpError::TooManyRequests,
        error => {
            tracing::debug!(?error, "an outbound request failed");
            HttpError::RuntimeError
        }
    }
}

fn whole(body: Bytes) -> WasiBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

#[cfg(test)]
mod tests;

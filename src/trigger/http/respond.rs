//! Every response that the host makes itself; no other file chooses a status.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full};
use serde::Serialize;
use wasmtime_wasi_http::WasiBody;

/// Seconds after which a client that was turned away may ask again.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
const INCOMPLETE_CGI: &[u8] = b"Exactly one of 'location' or 'content-type' must be specified";

/// Why the host answers in place of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No route, or a path below `/.well-known/spin/` that means nothing.
    NotFound,
    /// No host, two hosts, or a target that makes no URI.
    BadRequest,
    /// The guest trapped, gave no response, or gave one that can't be sent.
    GuestFailed,
    /// A method that `fermyon:spin/inbound-http` can't express.
    MethodNotAllowed,
    /// A body that has to be held whole, and is larger than may be held.
    TooLarge,
    /// The app is going, or has more requests than it may.
    Unavailable,
}

/// An empty response: what went wrong stands in the log, and nothing of it goes to the client
/// (`docs/contract/http-trigger.md §4`).
pub(super) fn refuse(refusal: Refusal) -> Response<WasiBody> {
    let status = match refusal {
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::BadRequest => StatusCode::BAD_REQUEST,
        Refusal::GuestFailed => StatusCode::INTERNAL_SERVER_ERROR,
        Refusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    if refusal == Refusal::Unavailable {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
}

/// What the client of a Wagi program is told that printed no header which makes a response (`docs/contract/http-trigger.md §6.3`).
pub(super) fn incomplete_cgi() -> Response<WasiBody> {
    let mut response = Response::new(full(Bytes::from_static(INCOMPLETE_CGI)));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// What `/.well-known/spin/health` says.
pub(super) fn healthy() -> Response<WasiBody> {
    Response::new(full(Bytes::from_static(b"OK")))
}

/// What `/.well-known/spin/info` says.
#[derive(Serialize)]
pub(super) struct Info<'a> {
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) oci_image_digest: Option<&'a str>,
}

pub(super) fn info(info: &Info<'_>) -> Response<WasiBody> {
    // A struct of strings always has a JSON form.
    let json = serde_json::to_vec_pretty(info).unwrap_or_default();
    let mut response = Response::new(full(json.into()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn empty() -> WasiBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(super) fn full(bytes: Bytes) -> WasiBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

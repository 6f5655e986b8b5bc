//! Every response that the host makes itself; no other file chooses a status.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full};
use serde::Serialize;
use wasmtime_wasi_http::WasiBody;

use crate::problem::{self, Problem};

/// After which a client that was turned away may ask again, where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const INCOMPLETE_CGI: &[u8] = b"Exactly one of 'location' or 'content-type' must be specified";

/// What clients are told of an app that is going.
pub(super) const GOING: &str = "the app is being stopped or moved; ask again";

/// Why the host answers in place of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No app, no route, or a path below `/.well-known/spin/` that means nothing.
    NotFound,
    /// No host, two hosts, or a target that makes no URI.
    BadRequest,
    /// The guest trapped, gave no response, or gave one that can't be sent.
    GuestFailed,
    /// A method that `fermyon:spin/inbound-http` can't express.
    MethodNotAllowed,
    /// The client paused for too long within the request's body.
    TooSlow,
    /// A body that is larger than the app takes, or that has to be held whole and is larger than may be held.
    TooLarge,
    /// More of a target and headers than the app takes.
    HeadersTooLarge,
    /// More requests than the app takes in a time; after this long there is room for one.
    TooOften(Duration),
    /// The response has not begun in the time that the app has for it.
    OutOfTime,
    /// More requests at once than the app takes, and no room or no time to wait.
    Busy,
    /// The app is going.
    Unavailable,
    /// The client was met otherwise than the app asks.
    Misdirected,
}

impl Refusal {
    /// What the client may know of it.
    pub(super) fn detail(self) -> &'static str {
        match self {
            Self::NotFound => "nothing answers here",
            Self::BadRequest => "the request names no host, or two, or no path",
            Self::GuestFailed => "the app failed",
            Self::MethodNotAllowed => "the app does not know this method",
            Self::TooSlow => "the request's body did not come in time",
            Self::TooLarge => "the body is larger than the app takes",
            Self::HeadersTooLarge => "the target and the headers are larger than the app takes",
            Self::TooOften(_) => "the app is asked too often",
            Self::OutOfTime => "the app took too long",
            Self::Busy => "the app has more requests than it may; ask again",
            Self::Unavailable => GOING,
            Self::Misdirected => "the connection was made for another host",
        }
    }
}

/// An empty response: what went wrong stands in the log, and nothing of it goes to the client
/// (`docs/contract/http-trigger.md §4`).
pub(super) fn refuse(refusal: Refusal) -> Response<WasiBody> {
    let status = match refusal {
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::BadRequest => StatusCode::BAD_REQUEST,
        Refusal::GuestFailed => StatusCode::INTERNAL_SERVER_ERROR,
        Refusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::TooSlow => StatusCode::REQUEST_TIMEOUT,
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Refusal::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
        Refusal::OutOfTime => StatusCode::GATEWAY_TIMEOUT,
        Refusal::Busy | Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Misdirected => StatusCode::MISDIRECTED_REQUEST,
    };
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    let retry_after = match refusal {
        Refusal::Busy | Refusal::Unavailable => Some(RETRY_AFTER),
        Refusal::TooOften(wait) => Some(wait),
        _ => None,
    };
    if let Some(wait) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, whole_seconds(wait).into());
    }
    response
}

/// Never too early, and not at once.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).max(1) as u64
}

/// A refusal with a document that says why (RFC 9457). `path` is what the client asked for.
pub(super) fn explain(refusal: Refusal, detail: &str, path: &str) -> Response<WasiBody> {
    let (mut head, _) = refuse(refusal).into_parts();
    let problem = Problem::new(head.status, detail, path).to_json();
    head.headers.insert(header::CONTENT_TYPE, problem::CONTENT_TYPE);
    Response::from_parts(head, full(problem))
}

/// Sends a client on, with the method that it used (RFC 9110 §15.4.9).
pub(super) fn redirect(location: HeaderValue) -> Response<WasiBody> {
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// What an authority is told that looks whether a name is ours (RFC 8555 §8.3).
pub(super) fn challenge(key_authorization: String) -> Response<WasiBody> {
    let mut response = Response::new(full(key_authorization.into()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
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

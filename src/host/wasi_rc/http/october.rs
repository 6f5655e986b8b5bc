//! What `wasi:http` of October had in another shape: one `error` for everything, options as a record, requests and responses
//! made in one step from headers that stay with the guest.

use std::time::Duration;

use wasmtime::bail;
use wasmtime::component::{ComponentType, Lift, Lower, Resource};
use wasmtime_wasi_http::p2::HttpError;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{
    ErrorCode, FutureIncomingResponse, HostFields, HostOutgoingBody, HostOutgoingRequest,
    HostOutgoingResponse, HostResponseOutparam, Method, OutgoingBody, OutgoingRequest, OutgoingResponse,
    ResponseOutparam, Scheme, Trailers,
};
use wasmtime_wasi_http::{FieldMap, RequestOptions, WasiHttpCtxView};

/// October's `error`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum Error {
    #[component(name = "invalid-url")]
    InvalidUrl(String),
    #[component(name = "timeout-error")]
    Timeout(String),
    #[component(name = "protocol-error")]
    Protocol(String),
    #[component(name = "unexpected-error")]
    Unexpected(String),
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        use ErrorCode as Code;
        let text = format!("{code:?}");
        match code {
            Code::HttpRequestUriInvalid | Code::HttpRequestUriTooLong => Error::InvalidUrl(text),
            Code::DnsTimeout
            | Code::ConnectionTimeout
            | Code::ConnectionReadTimeout
            | Code::ConnectionWriteTimeout
            | Code::HttpResponseTimeout => Error::Timeout(text),
            Code::HttpRequestLengthRequired
            | Code::HttpRequestBodySize(_)
            | Code::HttpRequestMethodInvalid
            | Code::HttpRequestHeaderSectionSize(_)
            | Code::HttpRequestHeaderSize(_)
            | Code::HttpRequestTrailerSectionSize(_)
            | Code::HttpRequestTrailerSize(_)
            | Code::HttpResponseIncomplete
            | Code::HttpResponseHeaderSectionSize(_)
            | Code::HttpResponseHeaderSize(_)
            | Code::HttpResponseBodySize(_)
            | Code::HttpResponseTrailerSectionSize(_)
            | Code::HttpResponseTrailerSize(_)
            | Code::HttpResponseTransferCoding(_)
            | Code::HttpResponseContentCoding(_)
            | Code::HttpUpgradeFailed
            | Code::HttpProtocolError
            | Code::TlsProtocolError
            | Code::TlsCertificateError
            | Code::TlsAlertReceived(_) => Error::Protocol(text),
            _ => Error::Unexpected(text),
        }
    }
}

impl From<Error> for ErrorCode {
    fn from(error: Error) -> Self {
        ErrorCode::InternalError(Some(match error {
            Error::InvalidUrl(text) => format!("invalid url: {text}"),
            Error::Timeout(text) => format!("timeout: {text}"),
            Error::Protocol(text) => format!("protocol error: {text}"),
            Error::Unexpected(text) => text,
        }))
    }
}

/// October's `request-options`, in milliseconds.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Timeouts {
    #[component(name = "connect-timeout-ms")]
    connect: Option<u32>,
    #[component(name = "first-byte-timeout-ms")]
    first_byte: Option<u32>,
    #[component(name = "between-bytes-timeout-ms")]
    between_bytes: Option<u32>,
}

impl From<Timeouts> for RequestOptions {
    fn from(timeouts: Timeouts) -> Self {
        let duration = |milliseconds: Option<u32>| milliseconds.map(|ms| Duration::from_millis(ms.into()));
        RequestOptions {
            connect_timeout: duration(timeouts.connect),
            first_byte_timeout: duration(timeouts.first_byte),
            between_bytes_timeout: duration(timeouts.between_bytes),
        }
    }
}

pub(super) fn handle(
    http: &mut WasiHttpCtxView<'_>,
    request: Resource<OutgoingRequest>,
    timeouts: Option<Timeouts>,
) -> wasmtime::Result<Result<Resource<FutureIncomingResponse>, Error>> {
    let options = timeouts
        .map(|timeouts| http.table.push(RequestOptions::from(timeouts)))
        .transpose()?;
    let borrowed = options
        .as_ref()
        .map(|options| Resource::new_borrow(options.rep()));
    let outcome = http.handle(request, borrowed);
    if let Some(options) = options {
        http.table.delete(options)?;
    }
    match outcome.map_err(HttpError::downcast) {
        Ok(future) => Ok(Ok(future)),
        Err(code) => Ok(Err(code?.into())),
    }
}

/// An authority that is missing meant the guest's own host, which is now written with its port only
/// (`docs/contract/http-trigger.md` §10).
pub(super) fn new_request(
    http: &mut WasiHttpCtxView<'_>,
    method: Method,
    path: Option<String>,
    scheme: Option<Scheme>,
    authority: Option<String>,
    headers: Resource<FieldMap>,
) -> wasmtime::Result<Resource<OutgoingRequest>> {
    let authority = authority.unwrap_or_else(|| match scheme {
        Some(Scheme::Http | Scheme::Other(_)) => ":80".into(),
        Some(Scheme::Https) | None => ":443".into(),
    });
    let headers = HostFields::clone(http, headers)?;
    let request = HostOutgoingRequest::new(http, headers)?;
    let this = || Resource::new_borrow(request.rep());
    if HostOutgoingRequest::set_method(http, this(), method)?.is_err() {
        bail!("the method of an outgoing request is not an HTTP method");
    }
    if HostOutgoingRequest::set_path_with_query(http, this(), path)?.is_err() {
        bail!("the path of an outgoing request is not a path with an optional query");
    }
    if HostOutgoingRequest::set_scheme(http, this(), scheme)?.is_err() {
        bail!("the scheme of an outgoing request is not a URL's scheme");
    }
    if HostOutgoingRequest::set_authority(http, this(), Some(authority))?.is_err() {
        bail!("the authority of an outgoing request is not a host with an optional port");
    }
    Ok(request)
}

pub(super) fn new_response(
    http: &mut WasiHttpCtxView<'_>,
    status: u16,
    headers: Resource<FieldMap>,
) -> wasmtime::Result<Resource<OutgoingResponse>> {
    let headers = HostFields::clone(http, headers)?;
    let response = HostOutgoingResponse::new(http, headers)?;
    let this = Resource::new_borrow(response.rep());
    if HostOutgoingResponse::set_status_code(http, this, status)?.is_err() {
        bail!("the status {status} of an outgoing response is not between 100 and 999");
    }
    Ok(response)
}

pub(super) fn set_response(
    http: &mut WasiHttpCtxView<'_>,
    this: Resource<ResponseOutparam>,
    response: Result<Resource<OutgoingResponse>, Error>,
) -> wasmtime::Result<()> {
    HostResponseOutparam::set(http, this, response.map_err(ErrorCode::from))
}

/// October can't be told that a body came out shorter or longer than announced; whoever receives it notices.
pub(super) fn finish(
    http: &mut WasiHttpCtxView<'_>,
    this: Resource<OutgoingBody>,
    trailers: Option<Resource<Trailers>>,
) -> wasmtime::Result<()> {
    match HostOutgoingBody::finish(http, this, trailers).map_err(HttpError::downcast) {
        Ok(()) | Err(Ok(_)) => Ok(()),
        Err(Err(trap)) => Err(trap),
    }
}

//! One outbound request.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme};

use crate::body;
use query::Query;

/// Fetches `url`: absolute, or a path alone, which stands for the app itself. `method` is GET by default, `body` may
/// be empty, `connect-ms` and `first-byte-ms` are times to wait at most. Answers with status and body.
pub fn fetch(query: &Query) -> Result<(u16, Vec<u8>), ErrorCode> {
    let url = query.text("url");
    let (scheme, rest) = match url.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("http", rest)) => (Scheme::Http, rest),
        Some((other, rest)) => (Scheme::Other(other.into()), rest),
        None => (Scheme::Http, url),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // What Spin's SDKs set for a relative address.
    let authority = if url.starts_with('/') { ":80" } else { authority };

    let request = OutgoingRequest::new(Fields::new());
    let method = match query.text("method") {
        "" | "GET" => Method::Get,
        "POST" => Method::Post,
        "HEAD" => Method::Head,
        other => Method::Other(other.into()),
    };
    request
        .set_method(&method)
        .map_err(|()| ErrorCode::HttpRequestMethodInvalid)?;
    request
        .set_scheme(Some(&scheme))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    request
        .set_authority(Some(authority))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    request
        .set_path_with_query(Some(path))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    let outgoing = request.body().expect("the body is taken once");
    let response = outgoing_handler::handle(request, options(query))?;
    if !query.text("body").is_empty() {
        let stream = outgoing.write().expect("the stream is taken once");
        let _ = stream.blocking_write_and_flush(query.text("body").as_bytes());
    }
    OutgoingBody::finish(outgoing, None)?;

    response.subscribe().block();
    let response = response.get().expect("it is ready").expect("it is taken once")?;
    let incoming = response.consume().expect("the body is taken once");
    let stream = incoming.stream().expect("the stream is taken once");
    let mut bytes = Vec::new();
    while let Some(chunk) = body::read(&stream) {
        bytes.extend(chunk);
    }
    Ok((response.status(), bytes))
}

fn options(query: &Query) -> Option<RequestOptions> {
    let nanoseconds = |name| match query.number(name, 0) {
        0 => None,
        milliseconds => Some(milliseconds * 1_000_000),
    };
    let (connect, first_byte) = (nanoseconds("connect-ms"), nanoseconds("first-byte-ms"));
    if connect.is_none() && first_byte.is_none() {
        return None;
    }
    let options = RequestOptions::new();
    // Every host takes both.
    let _ = options.set_connect_timeout(connect);
    let _ = options.set_first_byte_timeout(first_byte);
    Some(options)
}

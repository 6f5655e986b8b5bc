//! The demo: serves the files mounted into it, and on `/told` everything that the host told it.
//!
//! Both versions of the demo are this one component; what differs is two files and one environment variable.

mod json;
mod told;

use std::fs;
use std::path::{Component, Path, PathBuf};

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::StreamError;

struct Hello;

wasip2::http::proxy::export!(Hello);

impl Guest for Hello {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        if path.ends_with("/told") {
            let body = told::describe(&request).into_bytes();
            return reply(out, 200, "application/json", body);
        }
        match file_for(path).and_then(|file| fs::read(&file).ok().map(|bytes| (content_type(&file), bytes))) {
            Some((kind, bytes)) => reply(out, 200, kind, bytes),
            None => reply(
                out,
                404,
                "text/plain; charset=utf-8",
                format!("{path} is not here.\n").into_bytes(),
            ),
        }
    }
}

/// The mounted file that a request path names; a directory means its `index.html`.
fn file_for(path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    if !relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        return None;
    }
    let file = Path::new("/").join(relative);
    if path.is_empty() || path.ends_with('/') {
        Some(file.join("index.html"))
    } else {
        Some(file)
    }
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

fn reply(out: ResponseOutparam, status: u16, content_type: &str, bytes: Vec<u8>) {
    let headers = Fields::new();
    // These names and values are valid, so that setting them can't fail.
    let _ = headers.set("content-type", &[content_type.as_bytes().to_vec()]);
    let _ = headers.set("content-length", &[bytes.len().to_string().into_bytes()]);
    let _ = headers.set("cache-control", &[b"no-cache".to_vec()]);
    let response = OutgoingResponse::new(headers);
    let _ = response.set_status_code(status);
    let body = response.body();
    ResponseOutparam::set(out, Ok(response));
    let Ok(body) = body else { return };
    // An error means that the client went away: there is nobody left to tell.
    if write(&body, &bytes).is_ok() {
        let _ = OutgoingBody::finish(body, None);
    }
}

fn write(body: &OutgoingBody, mut bytes: &[u8]) -> Result<(), StreamError> {
    /// What one `blocking-write-and-flush` accepts at most.
    const CHUNK: usize = 4096;

    let Ok(stream) = body.write() else {
        return Err(StreamError::Closed);
    };
    while !bytes.is_empty() {
        let (chunk, rest) = bytes.split_at(bytes.len().min(CHUNK));
        stream.blocking_write_and_flush(chunk)?;
        bytes = rest;
    }
    Ok(())
}

//! What the guest sees of its world, as lines of text.

use std::path::Path;
use std::{env, fs};

use wasip2::http::types::{IncomingRequest, Method, Scheme};

use crate::body;

/// `name value` lines: the request line's parts, each header, each trailer, and the body.
pub fn echo(request: &IncomingRequest) -> String {
    let method = match request.method() {
        Method::Get => "GET".into(),
        Method::Head => "HEAD".into(),
        Method::Post => "POST".into(),
        Method::Put => "PUT".into(),
        Method::Delete => "DELETE".into(),
        Method::Connect => "CONNECT".into(),
        Method::Options => "OPTIONS".into(),
        Method::Trace => "TRACE".into(),
        Method::Patch => "PATCH".into(),
        Method::Other(name) => name,
    };
    let scheme = match request.scheme() {
        Some(Scheme::Http) => "http".into(),
        Some(Scheme::Https) => "https".into(),
        Some(Scheme::Other(name)) => name,
        None => String::new(),
    };
    let mut text = format!(
        "method {method}\nscheme {scheme}\nauthority {}\ntarget {}\n",
        request.authority().unwrap_or_default(),
        request.path_with_query().unwrap_or_default(),
    );
    for (name, value) in request.headers().entries() {
        text.push_str(&format!("header {name}: {}\n", String::from_utf8_lossy(&value)));
    }
    let (bytes, trailers) = body::collect(request);
    for (name, value) in trailers {
        text.push_str(&format!("trailer {name}: {}\n", String::from_utf8_lossy(&value)));
    }
    text.push_str(&format!(
        "body {} bytes\n{}",
        bytes.len(),
        String::from_utf8_lossy(&bytes)
    ));
    text
}

pub fn environment() -> String {
    env::vars()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect()
}

pub fn arguments() -> String {
    env::args().map(|argument| format!("{argument}\n")).collect()
}

/// Every mounted file, sorted, one path a line.
pub fn files() -> String {
    fn list(directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                list(&path, found);
            } else {
                found.push(format!("{}\n", path.display()));
            }
        }
    }
    let mut found = Vec::new();
    list(Path::new("/"), &mut found);
    found.sort();
    found.concat()
}

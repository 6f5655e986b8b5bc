//! One guest for many tests, on `wasi:http` 0.3: what `probe` is for 0.2, and what only 0.3 shows, that an instance
//! serves many requests, several at a time.

mod body;
mod net;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, fs, process};

use query::Query;
use spin_sdk::http_service;
use spin_sdk::time::sleep;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme};
use spin_sdk::wasip3::spawn;

/// Requests that this instance has begun, and those it is serving now.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static NOW: AtomicU64 = AtomicU64::new(0);

/// Counts one request for as long as it lives.
struct Serving;

impl Serving {
    fn begin() -> Self {
        BEGUN.fetch_add(1, Ordering::Relaxed);
        NOW.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        NOW.fetch_sub(1, Ordering::Relaxed);
    }
}

#[http_service]
async fn handle(request: spin_sdk::http::Request) -> Result<Response, ErrorCode> {
    let mut request = request;
    match request.body_mut().take_unstarted() {
        Some(request) => serve(request).await,
        None => Err(ErrorCode::InternalError(Some("the body was begun".into()))),
    }
}

/// The version under which a test deployed this component.
fn version() -> String {
    env::var("VERSION").unwrap_or_else(|_| "unversioned".into())
}

async fn serve(request: Request) -> Result<Response, ErrorCode> {
    let _serving = Serving::begin();
    let target = request.get_path_with_query().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = Query::parse(query);
    let pause = Duration::from_millis(query.number("ms", 0));
    let text = match path.rsplit('/').next().unwrap_or_default() {
        "version" => version(),
        "count" => BEGUN.load(Ordering::Relaxed).to_string(),
        "now" => {
            sleep(pause).await;
            NOW.load(Ordering::Relaxed).to_string()
        }
        "env" => env::vars()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect(),
        "file" => match fs::read_to_string(query.text("path")) {
            Ok(text) => text,
            Err(error) => return body::text(404, &format!("{:?}\n", error.kind())),
        },
        "write" => match fs::write(query.text("path"), query.text("text")) {
            Ok(()) => "written\n".into(),
            Err(error) => return body::text(403, &format!("{:?}\n", error.kind())),
        },
        "print" => {
            println!("{}", query.text("text"));
            eprintln!("{}", query.text("error"));
            "printed\n".into()
        }
        "sleep" => {
            sleep(pause).await;
            version()
        }
        "stream" => return body::stream(query.number("n", 3), pause),
        "pipe" => return body::pipe(request),
        "trailers" => return body::trailers(request).await,
        "early" => "answered without reading the body\n".into(),
        "after" => {
            let text = query.text("text").to_string();
            spawn(async move {
                let _serving = Serving::begin();
                sleep(pause).await;
                println!("after the response: {text}");
            });
            "answered\n".into()
        }
        "trap" => process::abort(),
        "exit" => process::exit(query.number("code", 1) as i32),
        "error" => return Err(ErrorCode::InternalError(Some("a test asked for it".into()))),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "fetch" => match fetch(&query).await {
            Ok((status, bytes)) => format!("{status}\n{}", String::from_utf8_lossy(&bytes)),
            Err(error) => return body::text(502, &format!("{error:?}\n")),
        },
        "tcp" => return outcome(net::tcp(&query).await),
        "tcp-many" => return outcome(net::tcp_many(&query).await),
        "listen" => return outcome(net::listen(&query).await),
        "udp" => return outcome(net::udp(&query).await),
        "udp-many" => return outcome(net::udp_many(&query)),
        "lookup" => return outcome(net::lookup(&query).await),
        _ => echo(request).await,
    };
    body::text(200, &text)
}

fn outcome(outcome: Result<String, String>) -> Result<Response, ErrorCode> {
    match outcome {
        Ok(text) => body::text(200, &text),
        Err(error) => body::text(502, &error),
    }
}

/// `name value` lines: the request line's parts, each header, each trailer, and the body.
async fn echo(request: Request) -> String {
    let method = match request.get_method() {
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
    let scheme = match request.get_scheme() {
        Some(Scheme::Http) => "http".into(),
        Some(Scheme::Https) => "https".into(),
        Some(Scheme::Other(name)) => name,
        None => String::new(),
    };
    let mut text = format!(
        "method {method}\nscheme {scheme}\nauthority {}\ntarget {}\n",
        request.get_authority().unwrap_or_default(),
        request.get_path_with_query().unwrap_or_default(),
    );
    for (name, value) in request.get_headers().copy_all() {
        text.push_str(&format!("header {name}: {}\n", String::from_utf8_lossy(&value)));
    }
    let (bytes, trailers) = body::collect(request).await;
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

/// Fetches `url`: absolute, or a path alone, which stands for the app itself. Answers with status and body.
async fn fetch(query: &Query) -> Result<(u16, Vec<u8>), ErrorCode> {
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
    let (request, _sent) = Request::new(Fields::new(), None, body::no_trailers(), None);
    let invalid = |()| ErrorCode::HttpRequestUriInvalid;
    request.set_scheme(Some(&scheme)).map_err(invalid)?;
    request.set_authority(Some(authority)).map_err(invalid)?;
    request.set_path_with_query(Some(path)).map_err(invalid)?;
    let response = spin_sdk::wasip3::http::client::send(request).await?;
    let status = response.get_status_code();
    let (stream, _trailers) = Response::consume_body(response, body::no_error());
    Ok((status, stream.collect().await))
}

//! One guest for many tests, on `wasi:http` 0.2: the last segment of the path says what to do, so that it can stand
//! behind any route. A path that names no action is echoed.

mod body;
mod fetch;
mod net;
mod report;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, fs, process, thread};

use body::Reply;
use query::Query;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{ErrorCode, Fields, IncomingRequest, ResponseOutparam};

struct Probe;

wasip2::http::proxy::export!(Probe);

/// Requests that this instance has seen: a host that reuses an instance of 0.2 lets it exceed one.
static SEEN: AtomicU64 = AtomicU64::new(0);

/// The version under which a test deployed this component.
fn version() -> String {
    env::var("VERSION").unwrap_or_else(|_| "unversioned".into())
}

impl Guest for Probe {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        SEEN.fetch_add(1, Ordering::Relaxed);
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query = Query::parse(query);
        let reply = Reply::new(out);
        match path.rsplit('/').next().unwrap_or_default() {
            "version" => reply.text(200, &version()),
            "count" => reply.text(200, &SEEN.load(Ordering::Relaxed).to_string()),
            "env" => reply.text(200, &report::environment()),
            "args" => reply.text(200, &report::arguments()),
            "file" => match fs::read(query.text("path")) {
                Ok(bytes) => reply.bytes(200, "application/octet-stream", &bytes),
                Err(error) => reply.text(404, &format!("{:?}\n", error.kind())),
            },
            "files" => reply.text(200, &report::files()),
            "write" => match fs::write(query.text("path"), query.text("text")) {
                Ok(()) => reply.text(200, "written\n"),
                Err(error) => reply.text(403, &format!("{:?}\n", error.kind())),
            },
            "status" => reply.text(query.number("code", 200) as u16, ""),
            "cookies" => {
                let headers = Fields::new();
                let _ = headers.set("set-cookie", &[b"a=1".to_vec(), b"b=2".to_vec()]);
                reply.with_headers(headers).text(200, "two cookies\n");
            }
            "bytes" => reply.generate(query.number("n", 0)),
            "stream" => reply.stream(query.number("n", 3), pause(&query)),
            "half" => {
                let body = reply.start(200, "text/plain");
                body.write(b"the first half\n");
                process::abort();
            }
            "pipe" => reply.pipe(&request),
            "trailers" => reply.trailers(&request),
            "early" => reply.text(200, "answered without reading the body\n"),
            "trap" => process::abort(),
            "panic" => panic!("a panic that a test asked for"),
            "exit" => process::exit(query.number("code", 1) as i32),
            "silent" => drop(reply),
            "error" => reply.error(ErrorCode::InternalError(Some("a test asked for it".into()))),
            "error-after" => {
                reply.error(ErrorCode::InternalError(Some("a test asked for it".into())));
                thread::sleep(pause(&query));
                println!("after the error: {}", query.text("text"));
            }
            "spin" => loop {
                std::hint::spin_loop();
            },
            "sleep" => {
                thread::sleep(pause(&query));
                reply.text(200, &version());
            }
            "alloc" => reply.text(200, &allocate(query.number("mb", 1))),
            "recurse" => reply.text(200, &recurse(query.number("n", 1)).to_string()),
            "print" => {
                println!("{}", query.text("text"));
                eprintln!("{}", query.text("error"));
                reply.text(200, "printed\n");
            }
            "fetch" => match fetch::fetch(&query) {
                Ok((status, bytes)) => {
                    let mut text = format!("{status}\n").into_bytes();
                    text.extend(bytes);
                    reply.bytes(200, "text/plain", &text);
                }
                Err(error) => reply.text(502, &format!("{error:?}\n")),
            },
            "tcp" => reply.outcome(net::tcp(&query)),
            "tcp-many" => reply.outcome(net::tcp_many(&query)),
            "listen" => reply.outcome(net::listen(&query)),
            "listen-anywhere" => reply.outcome(net::listen_anywhere(&query)),
            "udp" => reply.outcome(net::udp(&query)),
            "udp-many" => reply.outcome(net::udp_many(&query)),
            "lookup" => reply.outcome(net::lookup(&query)),
            "after" => {
                reply.text(200, "answered\n");
                thread::sleep(pause(&query));
                println!("after the response: {}", query.text("text"));
            }
            _ => {
                let text = report::echo(&request);
                reply.text(200, &text);
            }
        }
    }
}

fn pause(query: &Query) -> Duration {
    Duration::from_millis(query.number("ms", 0))
}

/// Touches every page, so that the memory is really there.
fn allocate(megabytes: u64) -> String {
    const MEGABYTE: usize = 1024 * 1024;
    let blocks: Vec<Vec<u8>> = (0..megabytes).map(|n| vec![n as u8 | 1; MEGABYTE]).collect();
    let bytes: usize = std::hint::black_box(&blocks).iter().map(Vec::len).sum();
    format!("{bytes}\n")
}

/// Recursion that no optimiser turns into a loop: `n` frames deep.
#[allow(unconditional_recursion)]
fn recurse(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 32]);
    if n == 0 {
        0
    } else {
        recurse(n - 1) + frame[(n % 32) as usize] / n
    }
}

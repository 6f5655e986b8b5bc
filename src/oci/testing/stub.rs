//! A registry that answers what a test tells it to: for what no real one can be made to do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl Stub {
    /// Starts it; `answer` gets every request, and its body.
    pub(crate) async fn start<F>(answer: F) -> Stub
    where
        F: Fn(&Request<()>, Bytes) -> Response<Body> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (answer, requests) = (Arc::new(answer), Arc::clone(&log));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        requests
                            .lock()
                            .unwrap()
                            .push(format!("{} {}", parts.method, parts.uri.path()));
                        Ok::<_, Infallible>(answer(&Request::from_parts(parts, ()), body))
                    }
                });
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(serving);
            }
        });
        Stub {
            address,
            log,
            accepting,
        }
    }

    /// The requests so far, as `METHOD /path`, without the client's finding out the scheme.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.log
            .lock()
            .unwrap()
            .iter()
            .filter(|line| *line != "GET /v2/")
            .cloned()
            .collect()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

pub(crate) fn status(code: u16) -> Response<Body> {
    Response::builder().status(code).body(full("")).unwrap()
}

pub(crate) fn ok(bytes: impl Into<Bytes>) -> Response<Body> {
    Response::new(full(bytes))
}

/// An answer of `length` bytes whose connection breaks after `part` of them.
pub(crate) fn broken(part: Bytes, length: usize) -> Response<Body> {
    let breaks = async {
        // Time for the server to send what it has.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(std::io::Error::other("the stub breaks off"))
    };
    let frames = stream::iter([Ok(Frame::data(part))]).chain(stream::once(breaks));
    let body = BodyExt::boxed(StreamBody::new(frames));
    Response::builder()
        .header("content-length", length)
        .body(body)
        .unwrap()
}

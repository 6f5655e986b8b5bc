//! A plain HTTP server between the daemon and something else: it passes requests on, or says that it is busy, and
//! remembers what it saw.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::client::Connection;

/// The server; it ends when dropped.
pub struct Relay {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    /// How many requests are still to be refused.
    busy: AtomicUsize,
    targets: Mutex<Vec<String>>,
}

impl Relay {
    /// Before `target`.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::<Seen>::default();
        let task = tokio::spawn(serve(listener, target, seen.clone()));
        Self { address, seen, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next `count` requests are told to come back a second later.
    pub fn refuse(&self, count: usize) {
        self.seen.busy.store(count, Ordering::SeqCst);
    }

    pub fn still_to_refuse(&self) -> usize {
        self.seen.busy.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// What stood on each request's first line: a path, or for a proxy a whole URL.
    pub fn targets(&self) -> Vec<String> {
        self.seen.targets.lock().expect("no panic holds it").clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, seen: Arc<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let seen = seen.clone();
        let service = service_fn(move |request| {
            let seen = seen.clone();
            async move { Ok::<_, Infallible>(answer(request, target, &seen).await) }
        });
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A client that leaves is no concern of the relay.
        tokio::spawn(async move { drop(connection.await) });
    }
}

async fn answer(request: Request<Incoming>, target: SocketAddr, seen: &Seen) -> Response<Full<Bytes>> {
    seen.targets
        .lock()
        .expect("no panic holds it")
        .push(request.uri().to_string());
    let refused = seen
        .busy
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if refused.is_ok() {
        return Response::builder()
            .status(StatusCode::TOO_MANY_REQUESTS)
            .header(header::RETRY_AFTER, "1")
            .body(Full::default())
            .expect("a response");
    }
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = path.parse().expect("a path");
    let sent = Request::from_parts(head, body.collect().await.expect("a body").to_bytes());
    let passed_on = async {
        let mut connection = Connection::open(target).await?;
        connection.send(sent.map(|body| Full::new(body).boxed())).await
    };
    match passed_on.await {
        Ok(reply) => {
            let mut response = Response::new(Full::new(reply.body));
            *response.status_mut() = reply.status;
            *response.headers_mut() = reply.headers;
            response.headers_mut().remove(header::TRANSFER_ENCODING);
            response
        }
        Err(error) => {
            let mut response = Response::new(Full::from(error));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

//! Accepting connections, and serving them until they end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use http::uri::Scheme;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_http::WasiBody;

use super::admission::MAX_HEADERS;
use super::client::ClientFacts;
use super::host;
use super::listener::Listener;
use super::respond::{GOING, Refusal, explain, refuse};
use crate::net::SocketFile;
use crate::tasks;

/// How often a silent HTTP/2 connection is asked whether it is alive, and how long it may take to answer.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after the process has run out of descriptors or memory: accepting at once would fail again.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A socket that accepts.
pub(super) enum Accepting {
    Tcp(TcpListener),
    /// In this order: the file goes while the socket still holds its place, so that it is nobody else's.
    Unix {
        _file: SocketFile,
        socket: UnixListener,
    },
}

/// Accepts until `close`, then lets every connection finish the request it has, until `abort`.
///
/// Connections that the kernel had completed when `close` came are served one request too: their clients have seen them
/// open.
pub(super) async fn run(
    socket: Accepting,
    listener: Arc<Listener>,
    close: CancellationToken,
    abort: CancellationToken,
) {
    let connections = GracefulShutdown::new();
    let mut exhausted = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = close.cancelled() => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok(connection) => {
                exhausted = false;
                connection.serve(&listener, &connections, &abort);
            }
            // The client gave up between its handshake and here, or sent something that is no connection.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Once, not ten times a second: the log is written to the same machine.
                if !std::mem::replace(&mut exhausted, true) {
                    tracing::warn!(address = %listener.address, %error, "no connection can be accepted for now");
                }
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
    while let Some(Ok(connection)) = socket.accept().now_or_never() {
        connection.serve(&listener, &connections, &abort);
    }
    drop(socket);
    connections.shutdown().await;
}

fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

impl Accepting {
    async fn accept(&self) -> std::io::Result<Connection> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                // Only a matter of latency; a socket that refuses it still works.
                let _ = stream.set_nodelay(true);
                Ok(Connection {
                    stream: Box::new(stream),
                    peer: Some(peer),
                })
            }
            Self::Unix { socket, .. } => {
                let (stream, _) = socket.accept().await?;
                Ok(Connection {
                    stream: Box::new(stream),
                    peer: None,
                })
            }
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A client's connection; one over a Unix socket has no address.
struct Connection {
    stream: Box<dyn Stream>,
    peer: Option<SocketAddr>,
}

impl Connection {
    /// HTTP/1.1, or HTTP/2 with prior knowledge, as the client's first bytes say.
    fn serve(self, listener: &Arc<Listener>, connections: &GracefulShutdown, abort: &CancellationToken) {
        let mut server = auto::Builder::new(TokioExecutor::new());
        server
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(listener.settings.header_timeout)
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEADERS as u32)
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
        let listener = listener.clone();
        let abort = abort.clone();
        let watcher = connections.watcher();
        let client = Arc::new(ClientFacts {
            peer: self.peer,
            scheme: Scheme::HTTP,
        });
        let stream = TokioIo::new(self.stream);
        tasks::spawn("connection", async move {
            let begun = AtomicBool::new(false);
            let service = service_fn(|request| {
                begun.store(true, Ordering::Relaxed);
                respond(listener.clone(), request, client.clone())
            });
            let connection = watcher.watch(server.serve_connection(stream, service).into_owned());
            tokio::select! {
                // A client that breaks the protocol or its connection ends its connection, nothing else.
                result = connection => if let Err(error) = result {
                    tracing::debug!(address = %listener.address, error, "a connection failed");
                },
                () = silence(&begun, listener.settings.header_timeout) => {}
                () = abort.cancelled() => {}
            }
        });
    }
}

/// Ends when the client has not asked for anything in time. The server's own limit begins only when it knows which
/// protocol the client speaks, which a silent one never says.
async fn silence(begun: &AtomicBool, limit: Duration) {
    tokio::time::sleep(limit).await;
    if begun.load(Ordering::Relaxed) {
        std::future::pending().await
    }
}

/// Each request looks up the app anew: a kept connection's next request goes to the new version.
async fn respond(
    listener: Arc<Listener>,
    request: Request<Incoming>,
    client: Arc<ClientFacts>,
) -> Result<Response<WasiBody>, Infallible> {
    let Some(host) = host::asked_for(&request) else {
        return Ok(refuse(Refusal::BadRequest));
    };
    let mut drained = None;
    loop {
        let path = request.uri().path();
        let Some(place) = listener.find(host.as_deref(), path) else {
            return Ok(nobody(&listener, host.as_deref(), path));
        };
        // An app that is being drained has been replaced, or its place is being taken away.
        if drained.as_ref().is_some_and(|old| Arc::ptr_eq(&place, old)) {
            return Ok(explain(Refusal::Unavailable, GOING, path));
        }
        match place.app.enter() {
            Some(in_flight) => return Ok(place.app.serve(request, &place.site, &client, in_flight).await),
            None => drained = Some(place),
        }
    }
}

/// No app is at this host and path.
fn nobody(listener: &Listener, host: Option<&str>, path: &str) -> Response<WasiBody> {
    if listener.is_closing() {
        return explain(Refusal::Unavailable, GOING, path);
    }
    let detail = match host {
        Some(host) => format!("no app is served at {host}{path}"),
        None => format!("the request names no host, and no app is served at {path} for every host"),
    };
    explain(Refusal::NotFound, &detail, path)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::listener::ListenAddress;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_says_what_it_speaks_is_let_go() {
        let (mut client, server) = tokio::io::duplex(64);
        let listener = Listener::of(ListenAddress::Unix("s".into()), &Arc::default());
        let limit = listener.settings.header_timeout;
        let connection = Connection {
            stream: Box::new(server),
            peer: None,
        };
        connection.serve(&listener, &GracefulShutdown::new(), &CancellationToken::new());
        client.write_all(b"PRI * HT").await.unwrap();
        let mut end = Vec::new();
        let closed = tokio::time::timeout(2 * limit, client.read_to_end(&mut end));
        closed.await.expect("it is closed").unwrap();
        assert!(end.is_empty());
    }
}

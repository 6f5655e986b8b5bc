//! Accepting connections, and serving them until they end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmtime_wasi_http::WasiBody;

use super::access_log::{Outgoing, Record};
use super::admission::MAX_HEADERS;
use super::client::{ClientFacts, RequestFacts};
use super::connections::Counted;
use super::host;
use super::listener::{ListenAddress, Listener, Role};
use super::proxy::{self, Proxied, ProxyError};
use super::request_id::{REQUEST_ID, RequestId};
use super::respond::{self, GOING, Refusal, explain, refuse};
use super::settings::HttpSettings;
use super::timeouts::{Activity, Heard, InFlight, Overdue, Pace, TimedBody, Watchdog};
use super::tls::{TlsFacts, location};
use crate::net::SocketFile;
use crate::tasks;

/// How often a silent HTTP/2 connection is asked whether it is alive, and how long it may take to answer.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// What clients are told whose handshake was for a host that demands other certificates.
const OTHER_AUTHORITY: &str =
    "the host demands a client certificate, and this connection was made without; make one for the host";
/// What clients are told whose connection is older than the app's TLS.
const NOW_SECURE: &str = "the app is met by TLS now; make a new connection";
/// What a client is told at an address that only sends on to https, if it has come by https.
const SECURE_ALREADY: &str = "the request came by https, and this address only sends others there";
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
    let connections = Connections {
        tasks: TaskTracker::new(),
        finish: CancellationToken::new(),
        abort,
    };
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
                connection.serve(&listener, &connections);
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
        connection.serve(&listener, &connections);
    }
    drop(socket);
    connections.finish.cancel();
    connections.tasks.close();
    connections.tasks.wait().await;
}

/// The connections of one listener, and how they end.
struct Connections {
    tasks: TaskTracker,
    /// Each finishes the request that it has.
    finish: CancellationToken,
    /// Each ends, whatever it is doing.
    abort: CancellationToken,
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
    /// One more than there may be is closed at once.
    fn serve(self, listener: &Arc<Listener>, connections: &Connections) {
        let most = listener.shared.settings.max_connections;
        let Some(counted) = listener.connections.admit(most, &listener.address) else {
            return;
        };
        let listener = listener.clone();
        let (finish, abort) = (connections.finish.clone(), connections.abort.clone());
        let in_flight = connections.tasks.token();
        tasks::spawn("connection", async move {
            let _in_flight = in_flight;
            tokio::select! {
                () = self.run(&listener, counted, finish) => {}
                () = abort.cancelled() => {}
            }
        });
    }

    /// Meets the client as its address does: with TLS, or at once. `None`: it is gone, or has to go.
    async fn meet(self, listener: &Listener) -> Option<(Box<dyn Stream>, Arc<ClientFacts>)> {
        let Self { stream, peer } = self;
        let facts = |scheme, tls| Arc::new(ClientFacts { peer, scheme, tls });
        if !listener.is_secure() {
            return Some((stream, facts(Scheme::HTTP, TlsFacts::default())));
        }
        let choose = |name: Option<&str>| listener.find_tls(name);
        match listener
            .handshakes
            .accept(stream, &listener.shared.challenges, choose)
            .await
        {
            Ok(Some((stream, tls))) => Some((Box::new(stream), facts(Scheme::HTTPS, tls))),
            Ok(None) => None,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(address = %listener.address, error, "no TLS with a client");
                None
            }
        }
    }

    /// From the client's first byte to its last response.
    async fn run(self, listener: &Arc<Listener>, mut counted: Counted, finish: CancellationToken) {
        let settings = &listener.shared.settings;
        let Some(connection) = self.unwrap_proxied(listener).await else {
            return;
        };
        if !connection.admit_client(settings, &mut counted, &listener.address) {
            return;
        }
        if let Some((stream, client)) = connection.meet(listener).await {
            serve_http(stream, listener, client, finish).await;
        }
    }

    /// Whether its client may have one more. Clients of Unix sockets have no address to count by, and a trusted proxy has the
    /// connections of many clients.
    fn admit_client(&self, settings: &HttpSettings, counted: &mut Counted, address: &ListenAddress) -> bool {
        let (Some(peer), Some(most)) = (self.peer, settings.max_connections_per_client) else {
            return true;
        };
        let ip = peer.ip();
        let is_proxy = settings
            .trusted_proxies
            .iter()
            .any(|proxy| proxy.contains(Some(ip)));
        is_proxy || counted.admit_client(ip, most, address)
    }

    /// The connection as the balancer has it that passes it on; as it is, where no balancer is expected.
    async fn unwrap_proxied(self, listener: &Listener) -> Option<Self> {
        let settings = &listener.shared.settings;
        let ip = self.peer.map(|peer| peer.ip());
        if !settings.proxy_protocol.iter().any(|network| network.contains(ip)) {
            return Some(self);
        }
        let read = tokio::time::timeout(settings.header_timeout, proxy::read(self.stream)).await;
        match read.unwrap_or(Err(ProxyError::TimedOut)) {
            Ok((proxied, stream)) => Some(Self {
                stream: Box::new(stream),
                peer: match proxied {
                    Proxied::Itself => self.peer,
                    Proxied::Client(client) => client,
                },
            }),
            Err(error) => {
                let peer = self.peer.map(tracing::field::display);
                tracing::debug!(address = %listener.address, peer, %error, "a connection of a balancer is closed");
                None
            }
        }
    }
}

/// HTTP/1.1, or HTTP/2 with prior knowledge, as the client's first bytes say.
async fn serve_http<S: Stream + 'static>(
    stream: S,
    listener: &Arc<Listener>,
    client: Arc<ClientFacts>,
    finish: CancellationToken,
) {
    let settings = &listener.shared.settings;
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        // The watchdog looks at all that the client may take too long for.
        .header_read_timeout(None)
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADERS as u32)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    let activity = Activity::new();
    let service = service_fn(|request: Request<Incoming>| {
        let in_flight = activity.begin(request.version());
        respond(listener.clone(), request, client.clone(), in_flight)
    });
    let stream = TokioIo::new(Heard::new(stream, &activity));
    let mut connection = pin!(server.serve_connection(stream, service));
    let mut watchdog = Watchdog::new(
        &activity,
        settings.header_timeout,
        settings.idle_timeout,
        settings.body_timeout,
    );
    let mut is_finishing = false;
    loop {
        tokio::select! {
            biased;
            // A client that breaks the protocol or its connection ends its connection, nothing else.
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(address = %listener.address, error, "a connection failed");
                }
                return;
            }
            () = finish.cancelled(), if !is_finishing => {}
            overdue = watchdog.overdue() => if is_finishing || overdue != Overdue::Request {
                return;
            },
        }
        is_finishing = true;
        connection.as_mut().graceful_shutdown();
    }
}

/// Gives each request its name, and learns who has asked, before anybody else sees it: at once, since a client may be gone
/// before its request is looked at again.
fn respond(
    listener: Arc<Listener>,
    mut request: Request<Incoming>,
    client: Arc<ClientFacts>,
    in_flight: InFlight,
) -> impl Future<Output = Result<Response<Outgoing>, Infallible>> {
    let shared = &listener.shared;
    let id = RequestId::settle(request.headers_mut());
    let ready = !shared.lame_duck.is_cancelled();
    let trusted = &shared.settings.trusted_proxies;
    let facts = client.of_forwarded(request.headers_mut(), trusted, ready);
    let begin = |facts: &RequestFacts| {
        let log = shared.access_log.as_ref()?;
        Some(log.begin(&request, &client, facts, &id))
    };
    let mut record = match &facts {
        Ok(facts) => begin(facts),
        Err(_) => begin(&client.of_request(ready)),
    };
    async move {
        let mut response = match facts {
            Ok(facts) => answer(&listener, request, &client, &facts, record.as_mut()).await,
            Err(unbelievable) => {
                let path = request.uri().path();
                explain(Refusal::BadRequest, &unbelievable.to_string(), path)
            }
        };
        response.headers_mut().insert(REQUEST_ID, id.value());
        Ok(Outgoing::wrap(response, record, in_flight))
    }
}

/// Each request looks up the app anew: a kept connection's next request goes to the new version.
async fn answer(
    listener: &Listener,
    request: Request<Incoming>,
    client: &ClientFacts,
    facts: &RequestFacts,
    mut record: Option<&mut Record>,
) -> Response<WasiBody> {
    // Before any app: the authority looks where the name leads, whatever is there.
    if let Some(answer) = listener.shared.challenges.request(request.uri().path()) {
        return respond::challenge(answer);
    }
    let Some(host) = host::asked_for(&request) else {
        return refuse(Refusal::BadRequest);
    };
    let mut drained = None;
    loop {
        let path = request.uri().path();
        let Some(place) = listener.find(host.as_deref(), path) else {
            return nobody(listener, host.as_deref(), path);
        };
        if let Some(record) = &mut record {
            record.served_by(place.app.shared_id());
        }
        // An app that is being drained has been replaced, or its place is being taken away.
        if drained.as_ref().is_some_and(|old| Arc::ptr_eq(&place, old)) {
            return explain(Refusal::Unavailable, GOING, path);
        }
        match &place.role {
            // Behind a proxy that speaks TLS itself, it would come back here.
            Role::Redirect { .. } if facts.scheme == Scheme::HTTPS => {
                return explain(Refusal::NotFound, SECURE_ALREADY, path);
            }
            Role::Redirect { port } => return send_on(&request, *port),
            Role::Serve { tls: Some(_) } if client.scheme != Scheme::HTTPS => {
                return explain(Refusal::Misdirected, NOW_SECURE, path);
            }
            Role::Serve { tls: Some(tls) } if !client.tls.satisfy(tls) => {
                return explain(Refusal::Misdirected, OTHER_AUTHORITY, path);
            }
            Role::Serve { .. } => {}
        }
        let Some(in_flight) = place.app.enter() else {
            drained = Some(place);
            continue;
        };
        let (pace, version) = (Arc::new(Pace::default()), request.version());
        let timeout = listener.shared.settings.body_timeout;
        let request = request.map(|body| TimedBody::new(body, timeout, &pace));
        let response = tokio::select! {
            biased;
            response = place.app.serve(request, &place.site, facts, in_flight) => response,
            () = pace.late() => return too_slow(version),
        };
        // What the guest says of it tells the client less.
        if pace.is_late() {
            return too_slow(version);
        }
        pace.answered();
        return response;
    }
}

/// The client is not waited for any more: its connection is of no use.
fn too_slow(version: Version) -> Response<WasiBody> {
    let mut response = refuse(Refusal::TooSlow);
    if version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// To the same thing over https.
fn send_on(request: &Request<Incoming>, port: u16) -> Response<WasiBody> {
    let authority = host::authority(request).flatten();
    let location = authority.and_then(|asked| location(&asked, port, request.uri().path_and_query()));
    location.map_or_else(|| refuse(Refusal::BadRequest), respond::redirect)
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

    use super::super::listener::Shared;
    use super::*;
    use crate::net::PeerNetwork;

    /// What a client gets that sends this and then waits, and after how long.
    async fn served(settings: HttpSettings, sent: &[u8]) -> (Vec<u8>, Duration) {
        let (mut client, server) = tokio::io::duplex(1024);
        let shared = Arc::new(Shared {
            settings,
            ..Shared::default()
        });
        let listener = Listener::of(ListenAddress::Unix("s".into()), &shared);
        let connection = Connection {
            stream: Box::new(server),
            peer: None,
        };
        let connections = Connections {
            tasks: TaskTracker::new(),
            finish: CancellationToken::new(),
            abort: CancellationToken::new(),
        };
        connection.serve(&listener, &connections);
        let start = tokio::time::Instant::now();
        client.write_all(sent).await.unwrap();
        let mut end = Vec::new();
        let hour = Duration::from_secs(3600);
        let closed = tokio::time::timeout(hour, client.read_to_end(&mut end)).await;
        closed.expect("it is closed").unwrap();
        (end, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_says_what_it_speaks_is_let_go() {
        let settings = HttpSettings::default();
        let (header, idle) = (settings.header_timeout, settings.idle_timeout);
        for sent in ["", "PRI * HT", "GET / HTTP/1.1\r\nhost:"] {
            let (got, after) = served(settings.clone(), sent.as_bytes()).await;
            assert_eq!(got, b"", "{sent}");
            assert!(after >= header && after < idle, "{sent}: {after:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_kept_for_a_while() {
        let settings = HttpSettings::default();
        let idle = settings.idle_timeout;
        let (got, after) = served(settings, b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
        assert!(got.starts_with(b"HTTP/1.1 404 "));
        assert!(
            after >= idle && after < idle + Duration::from_secs(1),
            "{after:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_balancer_that_never_says_for_whom_it_speaks_is_let_go() {
        let settings = HttpSettings {
            proxy_protocol: vec![PeerNetwork::Unix],
            ..HttpSettings::default()
        };
        let header = settings.header_timeout;
        for sent in ["", "PROXY TCP4 192.0.2.1"] {
            let (got, after) = served(settings.clone(), sent.as_bytes()).await;
            assert_eq!(got, b"", "{sent}");
            assert!(after >= header && after < 2 * header, "{sent}: {after:?}");
        }
    }
}

//! One connection: from what a balancer says of it and the client's handshake to its last response.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::uri::Scheme;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::MAX_HEADERS;
use super::bind::ListenAddress;
use super::client::ClientFacts;
use super::connections::Counted;
use super::listener::Listener;
use super::proxy::{self, Proxied, ProxyError};
use super::request::respond;
use super::settings::HttpSettings;
use super::streams::Streams;
use super::timeouts::{Activity, Heard, Overdue, Watchdog};
use super::tls::TlsFacts;
use crate::tasks;

/// How often a silent HTTP/2 connection is asked whether it is alive, and how long it may take to answer.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a kept connection may go on without a request when another process takes over: a client that uses it without a
/// pause learns by an answer that it ends, and not by a request that fails.
const KEPT_PATIENCE: Duration = Duration::from_secs(1);

/// The connections of one listener, and how they end.
pub(super) struct ConnectionTasks {
    pub(super) tasks: TaskTracker,
    /// Each finishes the request that it has.
    pub(super) finish: CancellationToken,
    /// Each ends, whatever it is doing.
    pub(super) abort: CancellationToken,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A client's connection; one over a Unix socket has no address.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    peer: Option<SocketAddr>,
}

impl Connection {
    pub(super) fn new(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Option<SocketAddr>,
    ) -> Self {
        let stream = Box::new(stream);
        Self { stream, peer }
    }

    /// One more than there may be is closed at once.
    pub(super) fn serve(self, listener: &Arc<Listener>, connections: &ConnectionTasks) {
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
    let mut server = auto::Builder::new(Streams {
        timeout: settings.body_timeout,
    });
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
    // Whoever has just connected has seen the connection open, and is answered once.
    let mut finishes = pin!(async {
        finish.cancelled().await;
        activity.begun().await;
        if listener.shared.retiring.is_cancelled() {
            // One without a request by then is closed.
            let _ = tokio::time::timeout(KEPT_PATIENCE, activity.told_of_the_end()).await;
        }
    });
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
            () = finishes.as_mut(), if !is_finishing => {}
            overdue = watchdog.overdue() => if is_finishing || overdue != Overdue::Request {
                return;
            },
        }
        is_finishing = true;
        connection.as_mut().graceful_shutdown();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::listener::Shared;
    use super::*;
    use crate::net::PeerNetwork;

    /// What a client gets that sends this and then waits, and after how long. `finish` is cancelled before it does.
    async fn served_until(
        settings: HttpSettings,
        sent: &[u8],
        finish: Option<CancellationToken>,
    ) -> (Vec<u8>, Duration) {
        let (mut client, server) = tokio::io::duplex(1024);
        let shared = Arc::new(Shared {
            settings,
            ..Shared::default()
        });
        let listener = Listener::of(ListenAddress::Unix("s".into()), &shared);
        let connection = Connection::new(server, None);
        let connections = ConnectionTasks {
            tasks: TaskTracker::new(),
            finish: finish.clone().unwrap_or_default(),
            abort: CancellationToken::new(),
        };
        connection.serve(&listener, &connections);
        let start = tokio::time::Instant::now();
        if let Some(finish) = finish {
            finish.cancel();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        client.write_all(sent).await.unwrap();
        let mut end = Vec::new();
        let hour = Duration::from_secs(3600);
        let closed = tokio::time::timeout(hour, client.read_to_end(&mut end)).await;
        closed.expect("it is closed").unwrap();
        (end, start.elapsed())
    }

    async fn served(settings: HttpSettings, sent: &[u8]) -> (Vec<u8>, Duration) {
        served_until(settings, sent, None).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_connected_before_the_end_is_answered_once() {
        let request = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n";
        let finish = Some(CancellationToken::new());
        let (got, after) = served_until(HttpSettings::default(), request, finish).await;
        assert!(got.starts_with(b"HTTP/1.1 404 "));
        assert!(after < Duration::from_secs(2), "{after:?}");
    }

    /// What a client gets for `again` on a kept connection, sent so long after the process was told to end, and how long that is
    /// open from then on.
    async fn kept(retiring: bool, again: &[u8], pause: Duration) -> (String, Duration) {
        let (mut client, server) = tokio::io::duplex(1024);
        let shared = Arc::new(Shared::default());
        let listener = Listener::of(ListenAddress::Unix("s".into()), &shared);
        let connections = ConnectionTasks {
            tasks: TaskTracker::new(),
            finish: CancellationToken::new(),
            abort: CancellationToken::new(),
        };
        Connection::new(server, None).serve(&listener, &connections);
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
            .await
            .unwrap();
        let mut first = vec![0; 1024];
        let length = client.read(&mut first).await.unwrap();
        assert!(!String::from_utf8_lossy(&first[..length]).contains("connection: close"));
        // All of the response, and the task sees that it has ended.
        tokio::time::sleep(Duration::from_secs(1)).await;
        if retiring {
            shared.retiring.cancel();
        }
        connections.finish.cancel();
        let told = tokio::time::Instant::now();
        tokio::time::sleep(pause).await;
        // It may be closed.
        let _ = client.write_all(again).await;
        let mut end = Vec::new();
        client.read_to_end(&mut end).await.unwrap();
        (String::from_utf8(end).unwrap(), told.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_connection_learns_by_an_answer_that_another_process_takes_over() {
        let request = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n";
        let pause = KEPT_PATIENCE / 2;
        let (got, after) = kept(true, request, pause).await;
        assert!(got.starts_with("HTTP/1.1 404 "), "{got:?}");
        assert!(got.contains("connection: close\r\n"), "{got:?}");
        assert_eq!(after, pause);
        // One that is not used is closed, and where nobody takes over, at once.
        let (got, after) = kept(true, b"", Duration::ZERO).await;
        assert_eq!((got.as_str(), after), ("", KEPT_PATIENCE));
        let (got, after) = kept(false, b"", Duration::ZERO).await;
        assert_eq!((got.as_str(), after), ("", Duration::ZERO));
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

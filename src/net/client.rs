//! The HTTP client behind `wasi:http`: pools of connections.
//!
//! Apps without settings of their own share one for the process: its connections carry no client certificate and no
//! credentials of the host, and what may be asked over them is decided before a request gets here. An app with settings has
//! its own, and one for each way of meeting hosts by TLS.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::dial::{CONNECT_TIMEOUT, Dialer, InTime};
use super::error::SendError;
use super::outbound::{Kind, Outbound};
use super::tls::tls_client_config;

/// What an outbound request waits for when the guest says nothing
/// (`docs/contract/host-interfaces.md §5.5`).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a connection without a request is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The same where their number is limited: a connection without a request keeps others from one.
const LIMITED_IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// Names an authority that is spoken to in HTTP/2 without TLS, as Spin has it.
const PRIOR_KNOWLEDGE: &str = "SPIN_OUTBOUND_H2C_PRIOR_KNOWLEDGE";
/// Connections without a request that are kept for one authority.
const IDLE_PER_HOST: usize = 32;

/// How long a request waits for each step; `None` is ten minutes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timeouts {
    /// For a connection, name resolution and TLS included.
    pub connect: Option<Duration>,
    /// For the head of the response.
    pub first_byte: Option<Duration>,
    /// Between two pieces of the response's body.
    pub between_bytes: Option<Duration>,
}

/// The body of a response, as it streams in.
pub type ResponseBody = UnsyncBoxBody<Bytes, SendError>;

/// Sends requests over pooled connections: HTTP/1.1, and HTTP/2 where TLS negotiates it. A cheap handle.
///
/// Redirects are not followed, bodies are not decoded, nothing is added but `host`.
pub struct HttpClient<B> {
    client: Pooled<B>,
    /// Speaks HTTP/2 without being asked to; made where it is wanted.
    prior_knowledge: Arc<OnceLock<Pooled<B>>>,
    settings: ClientSettings,
}

type Pooled<B> = Client<InTime<HttpsConnector<Dialer>>, B>;

/// What a client of its own is for.
#[derive(Clone)]
pub struct ClientSettings {
    /// What the app may have of the network.
    pub outbound: Arc<Outbound>,
    /// Without a protocol to negotiate: both are offered.
    pub tls: Arc<rustls::ClientConfig>,
    /// Whether a connection is kept after its request.
    pub pooling: bool,
}

impl Default for ClientSettings {
    /// The system's roots, an open network, connections that are kept.
    fn default() -> Self {
        Self {
            outbound: Arc::default(),
            tls: tls_client_config(),
            pooling: true,
        }
    }
}

// Derived, it would ask the body to be cloneable too.
impl<B> Clone for HttpClient<B> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            prior_knowledge: self.prior_knowledge.clone(),
            settings: self.settings.clone(),
        }
    }
}

impl<B> HttpClient<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A client that trusts the system's roots, and is not limited.
    pub fn with_system_roots() -> Self {
        Self::new(ClientSettings::default())
    }

    /// A client with a pool of its own.
    pub fn new(settings: ClientSettings) -> Self {
        Self {
            client: pooled(&settings, false),
            prior_knowledge: Arc::default(),
            settings,
        }
    }

    /// Sends `request`, whose URI is absolute, and gives back the head of the response and its body as it streams.
    pub async fn send(
        &self,
        mut request: Request<B>,
        timeouts: Timeouts,
    ) -> Result<Response<ResponseBody>, SendError> {
        let connect = timeouts.connect.unwrap_or(DEFAULT_TIMEOUT);
        let first_byte = timeouts.first_byte.unwrap_or(DEFAULT_TIMEOUT);
        let between_bytes = timeouts.between_bytes.unwrap_or(DEFAULT_TIMEOUT);

        let mut connection = capture_connection(&mut request);
        let response = CONNECT_TIMEOUT.scope(connect, self.client_for(request.uri()).request(request));
        let mut response = Box::pin(response);
        let connected = async {
            tokio::select! {
                biased;
                response = &mut response => Some(response),
                _ = connection.wait_for_connection_metadata() => None,
            }
        };
        let connected = tokio::time::timeout(connect, connected).await;
        let response = match connected.map_err(|_| SendError::ConnectTimeout)? {
            Some(response) => response,
            None => tokio::time::timeout(first_byte, response)
                .await
                .map_err(|_| SendError::ReadTimeout)?,
        };
        let response = response.map_err(|error| SendError::from_pool(&error))?;
        Ok(response.map(|body| with_timeout(body, between_bytes)))
    }

    fn client_for(&self, uri: &http::Uri) -> &Pooled<B> {
        static AUTHORITY: OnceLock<Option<String>> = OnceLock::new();
        let authority = AUTHORITY.get_or_init(|| std::env::var(PRIOR_KNOWLEDGE).ok());
        let known = authority.is_some()
            && uri.scheme() == Some(&http::uri::Scheme::HTTP)
            && uri.authority().map(http::uri::Authority::as_str) == authority.as_deref();
        if known {
            self.prior_knowledge.get_or_init(|| pooled(&self.settings, true))
        } else {
            &self.client
        }
    }
}

fn pooled<B>(settings: &ClientSettings, only_http2: bool) -> Pooled<B>
where
    B: Body + Send,
    B::Data: Send,
{
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(settings.tls.as_ref().clone())
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(Dialer(settings.outbound.clone()));
    let limited = settings.outbound.is_limited(Kind::Http);
    let idle_timeout = if limited {
        LIMITED_IDLE_TIMEOUT
    } else {
        IDLE_TIMEOUT
    };
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle_timeout)
        .pool_max_idle_per_host(if settings.pooling { IDLE_PER_HOST } else { 0 })
        .http2_only(only_http2)
        .build(InTime(connector))
}

/// A response body that fails when nothing arrives for `limit`.
fn with_timeout(body: hyper::body::Incoming, limit: Duration) -> ResponseBody {
    let frames = futures::stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match tokio::time::timeout(limit, body.frame()).await {
            Ok(None) => None,
            Ok(Some(Ok(frame))) => Some((Ok(frame), Some(body))),
            Ok(Some(Err(error))) => Some((Err(SendError::from_hyper(&error)), None)),
            Err(_) => Some((Err(SendError::ReadTimeout), None)),
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;

    use super::*;
    use crate::net::ConnectionLimits;

    fn get(uri: String) -> Request<Empty<Bytes>> {
        // A second test that installs it finds it there.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Request::builder().uri(uri).body(Empty::new()).unwrap()
    }

    fn client(limits: ConnectionLimits, blocked: &[&str]) -> HttpClient<Empty<Bytes>> {
        let blocked = blocked.iter().map(|network| network.parse().unwrap()).collect();
        HttpClient::new(ClientSettings {
            outbound: Arc::new(Outbound::new(blocked, limits)),
            ..ClientSettings::default()
        })
    }

    /// Accepts, and never answers.
    fn silent() -> std::net::TcpListener {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap()
    }

    #[tokio::test]
    async fn a_tls_handshake_counts_as_connecting() {
        let silent = silent();
        let request = get(format!("https://{}/", silent.local_addr().unwrap()));
        let timeouts = Timeouts {
            connect: Some(Duration::from_millis(50)),
            ..Timeouts::default()
        };
        let error = HttpClient::with_system_roots()
            .send(request, timeouts)
            .await
            .unwrap_err();
        assert!(matches!(error, SendError::ConnectTimeout), "{error:?}");
    }

    #[tokio::test]
    async fn the_first_byte_is_waited_for_from_the_connection_on() {
        let silent = silent();
        let request = get(format!("http://{}/", silent.local_addr().unwrap()));
        let timeouts = Timeouts {
            first_byte: Some(Duration::from_millis(50)),
            ..Timeouts::default()
        };
        let error = HttpClient::with_system_roots()
            .send(request, timeouts)
            .await
            .unwrap_err();
        assert!(matches!(error, SendError::ReadTimeout), "{error:?}");
    }

    #[tokio::test]
    async fn a_place_is_waited_for_as_long_as_connecting_may_take() {
        let limits = ConnectionLimits {
            http: Some(1),
            ..ConnectionLimits::default()
        };
        let (silent, client) = (silent(), client(limits, &[]));
        let uri = format!("http://{}/", silent.local_addr().unwrap());
        let first = tokio::spawn({
            let (client, request) = (client.clone(), get(uri.clone()));
            async move { client.send(request, Timeouts::default()).await.map(drop) }
        });
        let accepted =
            tokio::task::spawn_blocking(move || silent.accept().map(|(stream, _)| (stream, silent)));
        let _kept = accepted.await.unwrap().unwrap();
        let timeouts = Timeouts {
            connect: Some(Duration::from_millis(50)),
            ..Timeouts::default()
        };
        // To another port: nothing in the pool could be waited for.
        let other = self::silent();
        let request = get(format!("http://{}/", other.local_addr().unwrap()));
        let error = client.send(request, timeouts).await.unwrap_err();
        first.abort();
        assert!(matches!(error, SendError::ConnectTimeout), "{error:?}");
    }

    #[tokio::test]
    async fn what_is_not_to_be_reached_is_told_apart() {
        let none = ConnectionLimits {
            http: Some(0),
            ..ConnectionLimits::default()
        };
        let error = |client: HttpClient<Empty<Bytes>>, uri: &str| {
            let request = get(uri.into());
            async move { client.send(request, Timeouts::default()).await.unwrap_err() }
        };
        let limited = error(client(none, &[]), "http://127.0.0.1:1/").await;
        assert!(matches!(limited, SendError::NoConnectionsAllowed), "{limited:?}");
        let open = ConnectionLimits::default();
        let blocked = error(client(open.clone(), &["127.0.0.0/8"]), "http://127.0.0.1:1/").await;
        assert!(matches!(blocked, SendError::Blocked), "{blocked:?}");
        let unnamed = error(client(open.clone(), &[]), "https://not_a-name-.:1/").await;
        assert!(matches!(unnamed, SendError::InvalidName), "{unnamed:?}");
        let refused = error(client(open, &[]), "http://127.0.0.1:1/").await;
        assert!(matches!(refused, SendError::Connect(_)), "{refused:?}");
    }
}

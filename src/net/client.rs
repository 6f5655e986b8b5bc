//! The HTTP client behind `wasi:http`: one pool of connections for the process.
//!
//! Connections are shared between apps: they carry no client certificate and no credentials of the
//! host, and what may be asked over them is decided before a request gets here.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::dial::{CONNECT_TIMEOUT, Dialer, InTime};
use super::error::SendError;

/// What an outbound request waits for when the guest says nothing
/// (`docs/contract/host-interfaces.md §5.5`).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a connection without a request is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
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
    client: Client<InTime<HttpsConnector<Dialer>>, B>,
}

// Derived, it would ask the body to be cloneable too.
impl<B> Clone for HttpClient<B> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
        }
    }
}

impl<B> HttpClient<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A client that trusts the system's roots.
    pub fn with_system_roots() -> Self {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls_config())
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(Dialer);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .build(InTime(connector));
        Self { client }
    }

    /// Sends `request`, whose URI is absolute, and gives back the head of the response and its body as it streams.
    pub async fn send(
        &self,
        request: Request<B>,
        timeouts: Timeouts,
    ) -> Result<Response<ResponseBody>, SendError> {
        let connect = timeouts.connect.unwrap_or(DEFAULT_TIMEOUT);
        let first_byte = timeouts.first_byte.unwrap_or(DEFAULT_TIMEOUT);
        let between_bytes = timeouts.between_bytes.unwrap_or(DEFAULT_TIMEOUT);

        let response = CONNECT_TIMEOUT.scope(connect, self.client.request(request));
        let response = tokio::time::timeout(connect.saturating_add(first_byte), response)
            .await
            .map_err(|_| SendError::ReadTimeout)?
            .map_err(|error| SendError::from_pool(&error))?;
        Ok(response.map(|body| with_timeout(body, between_bytes)))
    }
}

fn tls_config() -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "a root certificate of the system can't be read");
    }
    let (_, ignored) = roots.add_parsable_certificates(found.certs);
    if ignored > 0 {
        tracing::debug!(ignored, "root certificates of the system that are not usable");
    }
    if roots.is_empty() {
        tracing::warn!(
            "no root certificates found: guests can't use https; install the system's, or name a file with SSL_CERT_FILE"
        );
    }
    rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth()
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

    #[tokio::test]
    async fn a_tls_handshake_counts_as_connecting() {
        // A second test that installs it finds it there.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // The kernel accepts, and nobody ever answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("https://{}/", silent.local_addr().unwrap());
        let request = Request::builder().uri(uri).body(Empty::<Bytes>::new()).unwrap();
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
}

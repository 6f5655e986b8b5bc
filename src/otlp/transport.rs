//! One try to hand a batch to the collector.

use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message as _;
use tonic::Code;
use tonic::metadata::MetadataMap;

use super::settings::{Destination, Protocol};
use super::signal::Signal;
use crate::net::tls_client_config;

/// A collector that can be reached at all accepts within this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const PROTOBUF: &str = "application/x-protobuf";
/// Bytes of a collector's answer that are read: it only says what was wrong.
const MAX_ANSWER: usize = 64 << 10;
/// However long the collector asks to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(60);

/// An HTTP/2 client below gRPC.
pub(crate) type GrpcClient = Client<HttpsConnector<HttpConnector>, tonic::body::Body>;

/// The way to the collector, for one signal.
// One for each signal of the process: its size is nobody's burden.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Transport {
    Http {
        client: reqwest::Client,
        destination: Destination,
    },
    Grpc {
        client: GrpcClient,
        origin: Uri,
        destination: Destination,
    },
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// Worth another try, perhaps not before some time.
    #[error("{reason}")]
    Later { reason: String, after: Option<Duration> },
    #[error("{0}")]
    Never(String),
}

impl SendError {
    fn later(reason: impl Into<String>) -> Self {
        Self::Later {
            reason: reason.into(),
            after: None,
        }
    }
}

/// Why a transport can't be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error("no HTTP client can be made")]
    Client(#[from] reqwest::Error),
    #[error("the collector's address can't be used")]
    Address(#[from] http::uri::InvalidUri),
}

impl Transport {
    /// Connects to nothing yet.
    pub(crate) fn new(destination: Destination) -> Result<Self, TransportError> {
        let tls = tls_client_config().as_ref().clone();
        Ok(match destination.protocol {
            Protocol::HttpProtobuf => {
                let client = reqwest::Client::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .timeout(destination.timeout)
                    .tls_backend_preconfigured(tls)
                    .build()?;
                Self::Http { client, destination }
            }
            Protocol::Grpc => {
                let mut tcp = HttpConnector::new();
                tcp.enforce_http(false);
                tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
                tcp.set_nodelay(true);
                let connector = hyper_rustls::HttpsConnectorBuilder::new()
                    .with_tls_config(tls)
                    .https_or_http()
                    .enable_http2()
                    .wrap_connector(tcp);
                let client = Client::builder(TokioExecutor::new())
                    .http2_only(true)
                    .build(connector);
                let origin = destination.url.origin().ascii_serialization().parse()?;
                Self::Grpc {
                    client,
                    origin,
                    destination,
                }
            }
        })
    }

    pub(crate) async fn send<S: Signal>(&self, batch: &S::Batch) -> Result<S::Answer, SendError> {
        match self {
            Self::Http { client, destination } => {
                let request = client
                    .post(destination.url.clone())
                    .headers(destination.headers.clone())
                    .header(CONTENT_TYPE, PROTOBUF)
                    .body(batch.encode_to_vec());
                let response = request.send().await.map_err(unreachable)?;
                answer::<S>(response).await
            }
            Self::Grpc {
                client,
                origin,
                destination,
            } => {
                let mut request = tonic::Request::new(batch.clone());
                *request.metadata_mut() = MetadataMap::from_headers(destination.headers.clone());
                let call = S::call(client.clone(), origin.clone(), request);
                match tokio::time::timeout(destination.timeout, call).await {
                    Ok(Ok(response)) => Ok(response.into_inner()),
                    Ok(Err(status)) => Err(grpc_error(&status)),
                    Err(_) => Err(SendError::later("no answer in time")),
                }
            }
        }
    }
}

async fn answer<S: Signal>(mut response: reqwest::Response) -> Result<S::Answer, SendError> {
    let status = response.status();
    if !status.is_success() {
        let reason = format!("status {status}");
        return Err(match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => SendError::Later {
                reason,
                after: retry_after(response.headers()),
            },
            _ => SendError::Never(reason),
        });
    }
    let mut body = Vec::new();
    // The batch is taken, whatever becomes of the words about it.
    while let Ok(Some(piece)) = response.chunk().await
        && body.len() + piece.len() <= MAX_ANSWER
    {
        body.extend_from_slice(&piece);
    }
    Ok(prost::Message::decode(&*body).unwrap_or_default())
}

/// A date as well as seconds may stand there; collectors send seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WISH))
}

/// Without the address, which may hold a password.
fn unreachable(error: reqwest::Error) -> SendError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    SendError::later(text)
}

fn grpc_error(status: &tonic::Status) -> SendError {
    let reason = format!("{:?}: {}", status.code(), status.message());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss
        | Code::ResourceExhausted
        // What the client says itself when there is no connection.
        | Code::Unknown => SendError::later(reason),
        _ => SendError::Never(reason),
    }
}

#[cfg(test)]
mod tests;

//! Name to connected socket, with errors that can be told apart.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::error::SendError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

tokio::task_local! {
    /// How long the request that is being sent may wait for a connection: the pool's connector is given
    /// nothing but the URI, and each request has a limit of its own.
    pub(super) static CONNECT_TIMEOUT: Duration;
}

/// Connects to the host and port of a URI.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialer;

impl tower_service::Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, SendError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(async move { connect(&uri).await })
    }
}

/// A connector that has as long as the request allows, TLS handshake included.
#[derive(Debug, Clone)]
pub(super) struct InTime<C>(pub(super) C);

impl<C> tower_service::Service<Uri> for InTime<C>
where
    C: tower_service::Service<Uri, Error = BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // The pool calls this inside the request's own future, where the limit is in scope.
        let limit = CONNECT_TIMEOUT.try_with(|limit| *limit).ok();
        let connecting = self.0.call(uri);
        Box::pin(async move {
            match limit {
                Some(limit) => tokio::time::timeout(limit, connecting)
                    .await
                    .unwrap_or_else(|_| Err(SendError::ConnectTimeout.into())),
                None => connecting.await,
            }
        })
    }
}

async fn connect(uri: &Uri) -> Result<TokioIo<TcpStream>, SendError> {
    let host = uri
        .host()
        .filter(|host| !host.is_empty())
        .ok_or(SendError::NoHost)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let default_port = if uri.scheme_str() == Some("https") {
        HTTPS_PORT
    } else {
        HTTP_PORT
    };
    let port = uri.port_u16().unwrap_or(default_port);
    let resolve_error = |error| SendError::Resolve(Arc::new(error));
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(resolve_error)?
        .collect();
    let connect_error = |error| SendError::Connect(Arc::new(error));
    let stream = TcpStream::connect(&*addresses).await.map_err(connect_error)?;
    // Only a matter of latency; a socket that refuses it still works.
    let _ = stream.set_nodelay(true);
    Ok(TokioIo::new(stream))
}

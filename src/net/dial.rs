//! The connector below the HTTP client: host and port to a connected socket, as far as an app may reach.

use std::future::Future;
use std::io::{IoSlice, Result as IoResult};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::error::SendError;
use super::outbound::{Kind, Outbound, Permit};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

tokio::task_local! {
    /// How long the request that is being sent may wait for a connection: the pool's connector is given
    /// nothing but the URI, and each request has a limit of its own.
    pub(super) static CONNECT_TIMEOUT: Duration;
}

/// Connects to the host and port of a URI, where the network of an app lets it.
#[derive(Debug, Clone)]
pub(super) struct Dialer(pub(super) Arc<Outbound>);

impl tower_service::Service<Uri> for Dialer {
    type Response = Dialled;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Dialled, SendError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let outbound = self.0.clone();
        Box::pin(async move { connect(&outbound, &uri).await })
    }
}

async fn connect(outbound: &Outbound, uri: &Uri) -> Result<Dialled, SendError> {
    let host = uri
        .host()
        .filter(|host| !host.is_empty())
        .ok_or(SendError::NoHost)?;
    let default_port = if uri.scheme_str() == Some("https") {
        HTTPS_PORT
    } else {
        HTTP_PORT
    };
    let port = uri.port_u16().unwrap_or(default_port);
    let permit = outbound.permit(Kind::Http).await?;
    let stream = outbound.connect(host, port).await?;
    Ok(Dialled {
        io: TokioIo::new(stream),
        _permit: permit,
    })
}

/// A connection, and the leave to have it for as long as it is open, with or without a request.
pub(super) struct Dialled {
    io: TokioIo<TcpStream>,
    _permit: Permit,
}

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

impl Read for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<IoResult<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Dialled {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<IoResult<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<IoResult<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<IoResult<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<IoResult<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}

/// A connector that has as long as the request allows: waiting for a place and the TLS handshake included.
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

//! An HTTP client that shows what goes on: kept connections, HTTP/1.1 and HTTP/2, streams, trailers.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A request's body.
pub type Body = BoxBody<Bytes, Infallible>;
/// What can go wrong, as text: scenarios show it and look no further.
pub type Result<T> = std::result::Result<T, String>;

/// A whole response.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

impl Reply {
    /// The body, which has to be text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// The value behind `name ` or `name: ` on a line of the body: how the probe guests report.
    pub fn line(&self, name: &str) -> Option<&str> {
        self.text()
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim_start_matches(':').strip_prefix(' '))
    }
}

/// A response whose body is still coming.
pub struct Streaming {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
}

impl Streaming {
    /// The next piece of the body, or `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.body.frame().await {
            match frame.map_err(chain)?.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(_trailers) => {}
            }
        }
        Ok(None)
    }

    /// The rest.
    pub async fn finish(self) -> Result<Reply> {
        let collected = self.body.collect().await.map_err(chain)?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Ok(Reply {
            status: self.status,
            headers: self.headers,
            body: collected.to_bytes(),
            trailers,
        })
    }
}

enum Sender {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

/// A connection that is kept.
pub struct Connection {
    sender: Sender,
    scheme: &'static str,
    authority: String,
}

impl Connection {
    /// HTTP/1.1.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        Self::over(connect(address).await?, "http", address.to_string()).await
    }

    /// HTTP/2 with prior knowledge.
    pub async fn open_h2(address: SocketAddr) -> Result<Self> {
        Self::h2_over(connect(address).await?, "http", address.to_string()).await
    }

    /// HTTP/1.1, for requests that name `authority`.
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        scheme: &'static str,
        authority: String,
    ) -> Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(chain)?;
        // Its errors show in the requests on it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self {
            sender: Sender::One(sender),
            scheme,
            authority,
        })
    }

    /// The same in HTTP/2.
    pub async fn h2_over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        scheme: &'static str,
        authority: String,
    ) -> Result<Self> {
        let client = http2::Builder::new(TokioExecutor::new());
        Self::h2_by(&client, stream, scheme, authority).await
    }

    /// HTTP/2 by a client that takes the heads of responses and nothing of their bodies: its streams' windows stay shut.
    pub async fn open_h2_shut(address: SocketAddr) -> Result<Self> {
        let mut client = http2::Builder::new(TokioExecutor::new());
        client.initial_stream_window_size(0);
        Self::h2_by(&client, connect(address).await?, "http", address.to_string()).await
    }

    async fn h2_by(
        client: &http2::Builder<TokioExecutor>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        scheme: &'static str,
        authority: String,
    ) -> Result<Self> {
        let (sender, connection) = client.handshake(TokioIo::new(stream)).await.map_err(chain)?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self {
            sender: Sender::Two(sender),
            scheme,
            authority,
        })
    }

    /// HTTP/1.1 over a Unix socket.
    pub async fn open_unix(path: &std::path::Path) -> Result<Self> {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Self::over(stream, "http", "localhost".into()).await
    }

    /// The same connection, for a request beside others; of HTTP/2 only.
    pub fn beside(&self) -> Self {
        let Sender::Two(sender) = &self.sender else {
            panic!("a connection of HTTP/1.1 has one request at a time");
        };
        Self {
            sender: Sender::Two(sender.clone()),
            scheme: self.scheme,
            authority: self.authority.clone(),
        }
    }

    /// The host that is asked for from now on, in place of the address.
    pub fn host(&mut self, host: &str) -> &mut Self {
        self.authority = host.into();
        self
    }

    pub fn is_open(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => !sender.is_closed(),
            Sender::Two(sender) => !sender.is_closed(),
        }
    }

    pub async fn get(&mut self, path: &str) -> Result<Reply> {
        self.send(request(Method::GET, path, empty())).await
    }

    pub async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Result<Reply> {
        self.send(request(Method::POST, path, Full::new(body.into()).boxed()))
            .await
    }

    /// The whole response.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Reply> {
        self.stream(request).await?.finish().await
    }

    /// The head of the response, and the body as it comes. The request's target is a path.
    pub async fn stream(&mut self, mut request: Request<Body>) -> Result<Streaming> {
        let response = match &mut self.sender {
            Sender::One(sender) => {
                let host = self.authority.parse().expect("an authority is a header's value");
                request.headers_mut().entry(http::header::HOST).or_insert(host);
                sender.ready().await.map_err(chain)?;
                sender.send_request(request).await
            }
            Sender::Two(sender) => {
                let target = format!("{}://{}{}", self.scheme, self.authority, request.uri());
                *request.uri_mut() = target.parse().expect("a URI");
                sender.ready().await.map_err(chain)?;
                sender.send_request(request).await
            }
        };
        let (head, body) = response.map_err(chain)?.into_parts();
        Ok(Streaming {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

/// One request on a connection of its own.
pub async fn get(address: SocketAddr, path: &str) -> Result<Reply> {
    Connection::open(address).await?.get(path).await
}

/// A request for a path.
pub fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(body)
        .expect("a request")
}

/// A body that is there at once.
pub fn full(text: &'static str) -> Body {
    Full::new(Bytes::from(text)).boxed()
}

pub fn empty() -> Body {
    Empty::new().boxed()
}

/// A body that is fed while it is under way; it ends when the sender is dropped.
pub fn channel() -> (mpsc::UnboundedSender<Frame<Bytes>>, Body) {
    let (sender, receiver) = mpsc::unbounded();
    let frames = receiver.map(Ok::<_, Infallible>);
    (sender, BodyExt::boxed(StreamBody::new(frames)))
}

pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| format!("connecting to {address}: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

/// An error with its causes.
fn chain(error: hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

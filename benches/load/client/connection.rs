//! A question, and a connection that it is asked over.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::reply::Reply;

/// A request, ready to be sent.
#[derive(Clone)]
pub struct Question {
    pub address: SocketAddr,
    request: Bytes,
    /// Over a connection of its own, even if there is one that could be used again.
    pub anew: bool,
    /// Whether the body of an answer with status 200 tells no error.
    pub is_good: fn(&[u8]) -> bool,
}

impl Question {
    /// GET the page at the root.
    pub fn root(address: SocketAddr) -> Self {
        Self::get(address, "/")
    }

    pub fn get(address: SocketAddr, path: &str) -> Self {
        Self::of_host(address, &address.to_string(), path)
    }

    /// GET from one of several hosts at an address.
    pub fn of_host(address: SocketAddr, host: &str, path: &str) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        Self {
            address,
            request: request.into(),
            anew: false,
            is_good: |_| true,
        }
    }

    pub fn post(address: SocketAddr, path: &str, body: &str, is_good: fn(&[u8]) -> bool) -> Self {
        let length = body.len();
        let request =
            format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n{body}");
        Self {
            address,
            request: request.into(),
            anew: false,
            is_good,
        }
    }

    pub fn accepts(&self, reply: &Reply) -> bool {
        reply.status == Reply::OK && (self.is_good)(&reply.body)
    }
}

/// Has one request in flight at most.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    asked: u64,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // Closed at once, without a wait that keeps its port: a run opens more connections than there are ports.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        Ok(Self {
            stream,
            received: Vec::new(),
            asked: 0,
        })
    }

    pub async fn ask(&mut self, question: &Question) -> io::Result<Reply> {
        self.asked += 1;
        self.received.clear();
        self.stream.write_all(&question.request).await?;
        loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(reply) = Reply::parse(&self.received)? {
                return Ok(reply);
            }
        }
    }

    /// Whether an error may only tell that the server closed the connection while it had nothing to do: no request but
    /// the last one failed, and not a byte came back.
    pub fn was_idle(&self) -> bool {
        self.asked > 1 && self.received.is_empty()
    }
}

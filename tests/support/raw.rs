//! Bytes on a socket, for what no client library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::wait::PATIENCE;

/// A connection on which bytes are written as they are.
pub struct Raw(TcpStream);

impl Raw {
    pub async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("a connection"))
    }

    /// From one of this machine's addresses.
    pub async fn open_from(source: &str, address: SocketAddr) -> Self {
        Self(super::balancer::connect_from(source, address).await)
    }

    pub async fn write(&mut self, text: impl AsRef<[u8]>) {
        self.0
            .write_all(text.as_ref())
            .await
            .expect("the other end reads");
    }

    /// What has come until `text` has; panics when the connection ends first.
    pub async fn read_to(&mut self, text: &str) -> String {
        let mut have = Vec::new();
        while !String::from_utf8_lossy(&have).contains(text) {
            let mut buffer = [0; 4096];
            let read = timeout(PATIENCE, self.0.read(&mut buffer))
                .await
                .expect("an answer")
                .expect("an answer");
            assert!(
                read > 0,
                "the connection ended after {:?}",
                String::from_utf8_lossy(&have)
            );
            have.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8_lossy(&have).into_owned()
    }

    /// What comes until the other end closes; a reset is an end too.
    pub async fn read_all(&mut self) -> String {
        let mut have = Vec::new();
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut have))
            .await
            .expect("an end");
        String::from_utf8_lossy(&have).into_owned()
    }
}

//! A server that answers as no library would: what it says stands in its answers.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// By path. Each is followed by the end of the connection, but for `/silent`.
const ANSWERS: [(&str, &str); 5] = [
    (
        "/hints",
        "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfinal",
    ),
    ("/half", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
    (
        "/trailers",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-end\r\n\r\n4\r\nbody\r\n0\r\nx-end: yes\r\n\r\n",
    ),
    ("/nonsense", "nonsense\r\n\r\n"),
    ("/closes", ""),
];

/// Answers with a head and part of a body, or with nothing, and then stays silent until the client goes.
const SILENT: [(&str, &str); 2] = [
    ("/silent", ""),
    ("/stalls", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nstalled"),
];

pub struct Peer {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Peer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    let head = String::from_utf8_lossy(&head).into_owned();
                    let path = head.split(' ').nth(1).unwrap_or_default();
                    let answer = |answers: &[(&str, &'static str)]| {
                        answers
                            .iter()
                            .find(|(have, _)| *have == path)
                            .map(|(_, answer)| *answer)
                    };
                    if let Some(text) = answer(&ANSWERS) {
                        drop(stream.write_all(text.as_bytes()).await);
                    } else if let Some(text) = answer(&SILENT) {
                        drop(stream.write_all(text.as_bytes()).await);
                        drop(stream.read_u8().await);
                    }
                });
            }
        });
        Self { address, task }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

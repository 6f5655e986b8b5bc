//! Sockets that accept, also when the process has run out of what a connection needs.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Connection, ConnectionTasks};
use super::listener::Listener;
use crate::net::SocketFile;

/// Pause after the process has run out of descriptors or memory: accepting at once would fail again.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A socket that accepts.
pub(super) enum Accepting {
    Tcp(TcpListener),
    /// In this order: the file goes while the socket still holds its place, so that it is nobody else's.
    Unix {
        _file: SocketFile,
        socket: UnixListener,
    },
}

/// Accepts until `close`, then lets every connection finish the request it has, until `abort`.
///
/// Connections that the kernel had completed when `close` came are served one request too: their clients have seen them
/// open.
pub(super) async fn run(
    socket: Accepting,
    listener: Arc<Listener>,
    close: CancellationToken,
    abort: CancellationToken,
) {
    let connections = ConnectionTasks {
        tasks: TaskTracker::new(),
        finish: CancellationToken::new(),
        abort,
    };
    let mut exhausted = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = close.cancelled() => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok(connection) => {
                exhausted = false;
                connection.serve(&listener, &connections);
            }
            // The client gave up between its handshake and here, or sent something that is no connection.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Once, not ten times a second: the log is written to the same machine.
                if !std::mem::replace(&mut exhausted, true) {
                    tracing::warn!(address = %listener.address, %error, "no connection can be accepted for now");
                }
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
    while let Some(Ok(connection)) = socket.accept().now_or_never() {
        connection.serve(&listener, &connections);
    }
    drop(socket);
    connections.finish.cancel();
    connections.tasks.close();
    connections.tasks.wait().await;
}

fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

impl Accepting {
    async fn accept(&self) -> std::io::Result<Connection> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                // Only a matter of latency; a socket that refuses it still works.
                let _ = stream.set_nodelay(true);
                Ok(Connection::new(stream, Some(peer)))
            }
            Self::Unix { socket, .. } => {
                let (stream, _) = socket.accept().await?;
                Ok(Connection::new(stream, None))
            }
        }
    }
}

//! Sockets that accept, also when the process has run out of what a connection needs.

use std::os::fd::{AsFd, BorrowedFd};
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
        /// `None`: the file is a service manager's.
        file: Option<SocketFile>,
        socket: UnixListener,
    },
}

/// Accepts, once clients may be met, until `close`, then lets every connection finish the request it has, until `abort`.
///
/// Connections that the kernel had completed when `close` came are served one request too: their clients have seen them
/// open.
pub(super) async fn run(
    socket: Arc<Accepting>,
    listener: Arc<Listener>,
    close: CancellationToken,
    abort: CancellationToken,
) {
    let connections = ConnectionTasks {
        tasks: TaskTracker::new(),
        finish: CancellationToken::new(),
        abort,
    };
    tokio::select! {
        () = listener.shared.opening.cancelled() => {}
        () = close.cancelled() => {}
    }
    let mut exhausted = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = close.cancelled() => break,
            () = listener.shared.retiring.cancelled() => break,
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
    // What another process accepts is left to it.
    while !listener.shared.retiring.is_cancelled()
        && let Some(Ok(connection)) = socket.accept().now_or_never()
    {
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

impl AsFd for Accepting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix { socket, .. } => socket.as_fd(),
        }
    }
}

impl Accepting {
    /// Another process has the socket, too: its file stays when this one closes it.
    pub(super) fn leave_file(&self) {
        if let Self::Unix { file: Some(file), .. } = self {
            file.leave();
        }
    }

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

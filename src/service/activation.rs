//! Sockets that the service manager opened for this process (`sd_listen_fds(3)`).

use listenfd::ListenFd;

use crate::net::ListeningSocket;

/// Takes them. What is no stream socket is told, and closed as far as it can be. To be called once, before any thread is
/// there: the environment forgets about them, so that nothing that this process starts takes them for its own.
pub fn sockets() -> Vec<ListeningSocket> {
    let mut inherited = ListenFd::from_env();
    let mut sockets = Vec::new();
    for number in 0..inherited.len() {
        if let Ok(Some(socket)) = inherited.take_tcp_listener(number) {
            sockets.push(ListeningSocket::Tcp(socket));
        } else if let Ok(Some(socket)) = inherited.take_unix_listener(number) {
            sockets.push(ListeningSocket::Unix(socket));
        } else {
            tracing::warn!(
                number,
                "a socket of the service manager is of no use: apps listen on TCP and Unix stream sockets"
            );
            // Taken to be closed; what is neither of these stays open, and nobody reads it.
            drop(inherited.take_udp_socket(number));
            drop(inherited.take_unix_datagram(number));
        }
    }
    sockets
}

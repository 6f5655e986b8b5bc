//! What is known of a client by its connection.

use std::net::SocketAddr;

use http::uri::Scheme;

/// The facts of one connection, which hold for each request on it.
pub(super) struct ClientFacts {
    /// `None` on a Unix socket.
    pub(super) peer: Option<SocketAddr>,
    /// How the client reached this server: `https` behind TLS.
    pub(super) scheme: Scheme,
}

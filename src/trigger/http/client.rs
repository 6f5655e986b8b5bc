//! What is known of a client by its connection, and of a request besides what it says itself.

use std::net::SocketAddr;

use http::HeaderMap;
use http::uri::{Authority, Scheme};

use super::forwarded::{self, Told, Unbelievable};
use super::tls::TlsFacts;
use crate::net::PeerNetwork;

/// The facts of one connection, which hold for each request on it.
pub(super) struct ClientFacts {
    /// The other end, or whom a balancer speaks for by the PROXY protocol. `None` on a Unix socket.
    pub(super) peer: Option<SocketAddr>,
    /// How the client reached this server: `https` behind TLS.
    pub(super) scheme: Scheme,
    /// How it was met by TLS; nothing has been shown without.
    pub(super) tls: TlsFacts,
}

/// The facts of one request.
#[derive(Debug)]
pub(super) struct RequestFacts {
    /// Who has asked. `None` on a Unix socket, and where a proxy keeps it to itself.
    pub(super) client: Option<SocketAddr>,
    /// How the client reached us, or the first proxy before us.
    pub(super) scheme: Scheme,
    /// Under which name it reached that proxy, where the proxy says so.
    pub(super) host: Option<Authority>,
    /// Whether this server is to get requests: not while it waits for balancers to see that it ends.
    pub(super) ready: bool,
}

impl ClientFacts {
    /// Of a request as the connection alone shows it.
    pub(super) fn of_request(&self, ready: bool) -> RequestFacts {
        RequestFacts {
            client: self.peer,
            scheme: self.scheme.clone(),
            host: None,
            ready,
        }
    }

    /// Of a request with these headers, of which those stay that may be believed.
    pub(super) fn of_forwarded(
        &self,
        headers: &mut HeaderMap,
        trusted: &[PeerNetwork],
        ready: bool,
    ) -> Result<RequestFacts, Unbelievable> {
        let told = forwarded::read(headers, self.peer, trusted)?;
        let facts = self.of_request(ready);
        Ok(match told {
            Some(Told { client, scheme, host }) => RequestFacts {
                client,
                scheme: scheme.unwrap_or(facts.scheme),
                host,
                ready,
            },
            None => facts,
        })
    }
}

//! Whom the operator names by where they connect from.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::network::network_or_address;

/// The word for whoever connects to a Unix socket.
const UNIX: &str = "unix";

/// A network, or the clients of Unix sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerNetwork {
    Network(IpNet),
    Unix,
}

/// What is neither a network nor the word.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no network: write one as 10.0.0.0/8 or fd00::/8, an address, or `unix` for the clients of Unix sockets"
)]
pub struct PeerNetworkError(String);

impl PeerNetwork {
    /// `None` is a client of a Unix socket. IPv4 addresses that are written in IPv6, as a socket for both has them, are
    /// those of IPv4.
    pub fn contains(&self, peer: Option<IpAddr>) -> bool {
        match (self, peer) {
            (Self::Network(network), Some(peer)) => network.contains(&peer.to_canonical()),
            (Self::Unix, None) => true,
            _ => false,
        }
    }
}

impl FromStr for PeerNetwork {
    type Err = PeerNetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == UNIX {
            return Ok(Self::Unix);
        }
        let network = network_or_address(text).ok_or_else(|| PeerNetworkError(text.into()))?;
        Ok(Self::Network(network))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, peer: &str) -> bool {
        let peer = (peer != UNIX).then(|| peer.parse().unwrap());
        network.parse::<PeerNetwork>().unwrap().contains(peer)
    }

    #[test]
    fn a_peer_is_an_address_or_a_client_of_a_unix_socket() {
        for (network, peer) in [
            ("10.0.0.0/8", "10.1.2.3"),
            ("10.1.2.3/8", "10.0.0.1"),
            ("10.0.0.7", "::ffff:10.0.0.7"),
            ("fd00::/8", "fd12::1"),
            ("0.0.0.0/0", "1.2.3.4"),
            (UNIX, UNIX),
        ] {
            assert!(contains(network, peer), "{network} {peer}");
        }
        for (network, peer) in [
            ("10.0.0.7", "10.0.0.8"),
            ("0.0.0.0/0", "::1"),
            ("::/0", UNIX),
            (UNIX, "::1"),
        ] {
            assert!(!contains(network, peer), "{network} {peer}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        let error = "balancer".parse::<PeerNetwork>().unwrap_err().to_string();
        assert!(
            error.contains("`balancer`") && error.contains("`unix`"),
            "{error}"
        );
    }
}

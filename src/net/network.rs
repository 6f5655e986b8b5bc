//! Networks that the operator keeps guests out of, or in (`docs/contract/host-interfaces.md §4.3`).

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

/// The word for everything that is not globally routable.
const PRIVATE: &str = "private";
/// What is not globally routable in IPv4 (RFC 6890 and its successors).
const PRIVATE_V4: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// The only IPv6 network that is, and what in it is not.
const GLOBAL_V6: &str = "2000::/3";
const PRIVATE_V6: [&str; 4] = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

/// A network, or all that are private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    Network(IpNet),
    Private,
}

/// What is neither a network nor the word.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no network: write one as 10.0.0.0/8 or fd00::/8, an address, or `private`")]
pub struct NetworkError(String);

impl Network {
    /// Whether the address belongs to it under any of its names: IPv6 addresses that stand for IPv4 ones are asked for as
    /// both. For a network that is kept from guests.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.contains_as_is(address) || self.contains_as_is(meant(address))
    }

    /// Whether the place that the address stands for belongs to it. For a network that guests are kept in: `::/0` is not
    /// all of IPv4.
    pub fn covers(&self, address: IpAddr) -> bool {
        self.contains_as_is(meant(address))
    }

    fn contains_as_is(&self, address: IpAddr) -> bool {
        match self {
            Self::Network(network) => network.contains(&address),
            Self::Private => is_private(address),
        }
    }
}

/// The address of the place where a packet ends.
fn meant(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => embedded_v4(v6).unwrap_or(address),
        IpAddr::V4(_) => address,
    }
}

/// Mapped (`::ffff:a.b.c.d`) and compatible (`::a.b.c.d`) addresses, and those of NAT64.
fn embedded_v4(address: Ipv6Addr) -> Option<IpAddr> {
    let nat64 = address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    match address.to_ipv4() {
        Some(v4) if address != Ipv6Addr::LOCALHOST && address != Ipv6Addr::UNSPECIFIED => Some(v4.into()),
        _ if nat64 => {
            let [.., a, b, c, d] = address.octets();
            Some(IpAddr::from([a, b, c, d]))
        }
        _ => None,
    }
}

fn is_private(address: IpAddr) -> bool {
    let within = |networks: &[&str]| {
        networks
            .iter()
            .filter_map(|network| network.parse::<IpNet>().ok())
            .any(|network| network.contains(&address))
    };
    match address {
        IpAddr::V4(_) => within(&PRIVATE_V4),
        IpAddr::V6(v6) if embedded_v4(v6).is_some() => false,
        IpAddr::V6(_) => !within(&[GLOBAL_V6]) || within(&PRIVATE_V6),
    }
}

/// `10.0.0.0/8`, or the network of one address.
pub(super) fn network_or_address(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).ok()
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == PRIVATE {
            return Ok(Self::Private);
        }
        let network = network_or_address(text).ok_or_else(|| NetworkError(text.into()))?;
        Ok(Self::Network(network))
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(network: &str, address: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn private_is_what_the_internet_does_not_route() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
        ] {
            assert!(blocks("private", address), "{address}");
        }
        for address in ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(!blocks("private", address), "{address}");
        }
    }

    #[test]
    fn a_network_also_blocks_the_forms_of_its_addresses_in_ipv6() {
        assert!(blocks("10.0.0.0/8", "10.9.9.9"));
        assert!(blocks("10.0.0.0/8", "::ffff:10.9.9.9"));
        assert!(blocks("fd00::/8", "fd12::1"));
        assert!(blocks("10.0.0.7", "10.0.0.7"));
        assert!(!blocks("10.0.0.7", "10.0.0.8"));
    }

    #[test]
    fn a_network_covers_what_its_addresses_stand_for() {
        let covers = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.covers(address.parse().unwrap())
        };
        assert!(covers("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(!covers("::/0", "::ffff:10.0.0.1"));
        assert!(covers("::/0", "2606:4700::1111"));
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        let error = "intranet".parse::<Network>().unwrap_err().to_string();
        assert!(
            error.contains("`intranet`") && error.contains("`private`"),
            "{error}"
        );
    }
}

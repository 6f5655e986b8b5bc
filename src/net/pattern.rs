//! One entry of `allowed_outbound_hosts` (`docs/contract/host-interfaces.md §4.1`).

use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;
use url::Host;

const ANY: &str = "*";
/// One past the highest port.
const PORTS_END: u32 = 1 << 16;

/// `scheme://host[:port]`
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// `None` for any.
    pub(super) scheme: Option<String>,
    pub(super) host: HostPattern,
    pub(super) port: PortPattern,
}

#[derive(Debug, Clone)]
pub(super) enum HostPattern {
    Any,
    /// The app itself.
    Itself,
    /// `*.spin.internal`
    AnyComponent,
    /// `*.example.com`, by what is behind the star.
    Below(String),
    Name(String),
    /// An address is a network of one.
    Network(IpNet),
}

#[derive(Debug, Clone)]
pub(super) enum PortPattern {
    Any,
    Ports(Range<u32>),
}

/// An entry that can't be understood.
#[derive(Debug, thiserror::Error)]
#[error("`{entry}` in allowed_outbound_hosts is not like `https://example.com:443`: {reason}")]
pub struct PatternError {
    entry: String,
    reason: &'static str,
}

impl PatternError {
    pub(super) fn new(entry: &str, reason: &'static str) -> Self {
        Self {
            entry: entry.into(),
            reason,
        }
    }
}

/// The port that a scheme has when none is written.
pub(super) fn default_port(scheme: &str) -> Option<u16> {
    Some(match scheme {
        "http" => 80,
        "https" => 443,
        "postgres" => 5432,
        "mysql" => 3306,
        "redis" => 6379,
        "mqtt" => 1883,
        _ => return None,
    })
}

impl Pattern {
    pub(super) fn parse(entry: &str) -> Result<Self, PatternError> {
        let error = |reason| PatternError::new(entry, reason);
        let (scheme, rest) = entry.split_once("://").ok_or_else(|| error("it has no `://`"))?;
        let scheme = match scheme {
            ANY => None,
            letters if !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_alphabetic()) => {
                Some(letters.to_owned())
            }
            _ => return Err(error("a scheme is `*` or letters")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_port(rest);
        let host = HostPattern::parse(host).map_err(error)?;
        let port = match port {
            None | Some("") => {
                let port = scheme.as_deref().and_then(default_port);
                let port =
                    port.ok_or_else(|| error("this scheme has no port of its own: write one, or `:*`"))?;
                PortPattern::one(port)
            }
            Some(port) => PortPattern::parse(port).map_err(error)?,
        };
        Ok(Self { scheme, host, port })
    }
}

/// The port is what follows the last colon that is not inside an address in brackets.
fn split_port(rest: &str) -> (&str, Option<&str>) {
    let from = rest.rfind(']').unwrap_or(0);
    match rest[from..].rfind(':') {
        Some(colon) => (&rest[..from + colon], Some(&rest[from + colon + 1..])),
        None => (rest, None),
    }
}

impl HostPattern {
    fn parse(host: &str) -> Result<Self, &'static str> {
        if host == ANY {
            return Ok(Self::Any);
        }
        if matches!(host, "self" | "self.alt") {
            return Ok(Self::Itself);
        }
        if host == "*.spin.internal" {
            return Ok(Self::AnyComponent);
        }
        if let Some(network) = network(host) {
            return network;
        }
        if host.contains('/') {
            return Err("it has a path; only a network has a `/`");
        }
        let (below, name) = match host.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, host),
        };
        if name.contains(['*', '{', '}', ',']) {
            return Err("a `*` stands for the whole host or its first label, and there are no lists");
        }
        match Host::parse(name).map_err(|_| "its host is not a name or an address")? {
            Host::Domain(name) if below => Ok(Self::Below(name)),
            Host::Domain(name) => Ok(Self::Name(name)),
            _ if below => Err("a `*.` goes before a name"),
            Host::Ipv4(ip) => Ok(Self::Network(IpAddr::from(ip).into())),
            Host::Ipv6(ip) => Ok(Self::Network(IpAddr::from(ip).into())),
        }
    }
}

/// `10.0.0.0/8` or `[fd00::]/8`, whatever the bits behind the prefix say.
fn network(host: &str) -> Option<Result<HostPattern, &'static str>> {
    let (address, prefix) = host.split_once('/')?;
    let address = address
        .strip_prefix('[')
        .and_then(|address| address.strip_suffix(']'))
        .unwrap_or(address);
    let address: IpAddr = address.parse().ok()?;
    let network = prefix
        .parse()
        .ok()
        .and_then(|prefix| IpNet::new(address, prefix).ok());
    Some(
        network
            .map(|network| HostPattern::Network(network.trunc()))
            .ok_or("its network has no such prefix"),
    )
}

impl PortPattern {
    fn one(port: u16) -> Self {
        let port = u32::from(port);
        Self::Ports(port..port + 1)
    }

    fn parse(port: &str) -> Result<Self, &'static str> {
        let number = |text: &str| {
            text.parse::<u16>()
                .map_err(|_| "a port is a number, a range `a..b`, or `*`")
        };
        if port == ANY {
            return Ok(Self::Any);
        }
        match port.split_once("..") {
            None => Ok(Self::one(number(port)?)),
            Some((start, end)) => {
                let start = u32::from(number(start)?);
                let end: u32 = end.parse().map_err(|_| "a range of ports ends with a number")?;
                if start < end && end <= PORTS_END {
                    Ok(Self::Ports(start..end))
                } else {
                    Err("a range of ports ends above its start")
                }
            }
        }
    }
}

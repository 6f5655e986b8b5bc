//! Where an app is served.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

const UNIX_SCHEME: &str = "unix:";
/// The name that every system resolves to itself.
const LOCALHOST: &str = "localhost";

/// Where an app is served. Displays as it would be written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// `IPv4:PORT` or `[IPv6]:PORT`. Port 0 is any free one.
    Tcp(SocketAddr),
    /// `NAME:PORT`, resolved when the app starts.
    Name {
        /// In lower case.
        host: String,
        /// 0 is any free one.
        port: u16,
    },
    /// `unix:PATH`, resolved against the app file's directory.
    Unix(PathBuf),
    /// The file names none: an app whose triggers listen to no address.
    Absent,
}

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address {text:?} {problem}; a good one is {example:?}")]
pub struct AddressError {
    text: String,
    problem: &'static str,
    example: String,
}

impl Address {
    /// Reads an address; a relative Unix path is relative to `base_dir`.
    ///
    /// # Errors
    /// [`AddressError`] says what is wrong and shows a good one.
    pub fn parse(text: &str, base_dir: &Path) -> Result<Address, AddressError> {
        let wrong = |problem, example: &str| AddressError {
            text: text.to_owned(),
            problem,
            example: example.to_owned(),
        };
        if let Some(path) = text.strip_prefix(UNIX_SCHEME) {
            if path.is_empty() {
                return Err(wrong("names no path", "unix:app.sock"));
            }
            return Ok(Address::Unix(base_dir.join(path)));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            let rest = &text[scheme.len() + "://".len()..];
            return Err(wrong("begins with a scheme", rest.trim_end_matches('/')));
        }
        if let Ok(socket) = text.parse::<SocketAddr>() {
            return Ok(Address::Tcp(socket));
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Err(wrong("has no port", &SocketAddr::new(ip, 3000).to_string()));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(wrong("has no port", "127.0.0.1:3000"));
        };
        let Ok(port) = port.parse::<u16>() else {
            return Err(wrong(
                "has a port that is not a number up to 65535",
                "127.0.0.1:3000",
            ));
        };
        if host.is_empty() {
            return Err(wrong("names no host", &format!("0.0.0.0:{port}")));
        }
        if host.contains(':') {
            return Err(wrong(
                "has an IPv6 address without its brackets",
                &format!("[{host}]:{port}"),
            ));
        }
        if host.starts_with('[') || !is_host_name(host) {
            return Err(wrong(
                "has a host that is neither an IP address nor a name",
                "127.0.0.1:3000",
            ));
        }
        Ok(Address::Name {
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// Whether both can't be open at once. Names are compared as names, but for the well-known one: only the
    /// system's answer at bind time is certain for the others.
    pub fn conflicts_with(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Unix(mine), Address::Unix(theirs)) => mine == theirs,
            (Address::Tcp(mine), Address::Tcp(theirs)) => {
                same_port(mine.port(), theirs.port()) && overlap(mine.ip(), theirs.ip())
            }
            (
                Address::Name { host: mine, port: p },
                Address::Name {
                    host: theirs,
                    port: q,
                },
            ) => same_port(*p, *q) && mine == theirs,
            (Address::Tcp(socket), Address::Name { host, port })
            | (Address::Name { host, port }, Address::Tcp(socket)) => {
                same_port(socket.port(), *port)
                    && (socket.ip().is_unspecified() || (host == LOCALHOST && socket.ip().is_loopback()))
            }
            (Address::Unix(_) | Address::Absent, _) | (_, Address::Unix(_) | Address::Absent) => false,
        }
    }

    /// Whether it is one place, which can't be written in another way, and takes no other: two of these are in conflict when they are the
    /// same, and never otherwise.
    pub fn is_narrow(&self) -> bool {
        match self {
            Address::Unix(_) | Address::Absent => true,
            Address::Tcp(socket) => {
                let ip = socket.ip();
                // The same address in two scopes is compared as an address.
                let is_bare = *socket == SocketAddr::new(ip, socket.port());
                is_bare && !ip.is_unspecified() && ip == ip.to_canonical()
            }
            Address::Name { .. } => false,
        }
    }

    /// The port, for addresses that have one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Address::Tcp(socket) => Some(socket.port()),
            Address::Name { port, .. } => Some(*port),
            Address::Unix(_) | Address::Absent => None,
        }
    }
}

/// Every bind to port 0 gets a port of its own.
fn same_port(mine: u16, theirs: u16) -> bool {
    mine == theirs && mine != 0
}

fn overlap(mine: IpAddr, theirs: IpAddr) -> bool {
    // `::ffff:127.0.0.1` is bound as 127.0.0.1.
    let (mine, theirs) = (mine.to_canonical(), theirs.to_canonical());
    // A socket on `::` is dual-stack: it takes every IPv4 address too.
    let takes_all_of = |wide: IpAddr, other: IpAddr| match wide {
        IpAddr::V6(wide) => wide.is_unspecified(),
        IpAddr::V4(wide) => wide.is_unspecified() && other.is_ipv4(),
    };
    mine == theirs || takes_all_of(mine, theirs) || takes_all_of(theirs, mine)
}

fn is_host_name(host: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // Digits and dots alone are an IP address gone wrong.
    host.chars().all(good) && host.chars().any(|c| c.is_ascii_alphabetic())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(socket) => socket.fmt(f),
            Address::Name { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{UNIX_SCHEME}{}", path.display()),
            Address::Absent => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text, Path::new("/apps")).unwrap()
    }

    fn refusal(text: &str) -> String {
        Address::parse(text, Path::new("/apps")).unwrap_err().to_string()
    }

    fn conflict(mine: &str, theirs: &str) -> bool {
        let answer = address(mine).conflicts_with(&address(theirs));
        assert_eq!(
            answer,
            address(theirs).conflicts_with(&address(mine)),
            "asked both ways"
        );
        answer
    }

    #[test]
    fn every_form_of_an_address_is_read() {
        assert_eq!(
            address("127.0.0.1:4001"),
            Address::Tcp("127.0.0.1:4001".parse().unwrap())
        );
        assert_eq!(address("[::1]:0"), Address::Tcp("[::1]:0".parse().unwrap()));
        let name = Address::Name {
            host: "localhost".into(),
            port: 80,
        };
        assert_eq!(address("LocalHost:80"), name);
        assert_eq!(
            address("unix:run/a.sock"),
            Address::Unix("/apps/run/a.sock".into())
        );
        assert_eq!(address("unix:/run/a.sock"), Address::Unix("/run/a.sock".into()));
    }

    #[test]
    fn a_bad_address_is_answered_with_a_good_one() {
        assert!(refusal("127.0.0.1").ends_with("has no port; a good one is \"127.0.0.1:3000\""));
        assert!(refusal("::1").contains("\"[::1]:3000\""));
        assert!(refusal("fe80::1:2:3:4:5:6:7:99").contains("brackets"));
        assert!(refusal("http://localhost:80/").contains("good one is \"localhost:80\""));
        assert!(refusal("localhost:99999").contains("port"));
        assert!(refusal("256.1.1.1:80").contains("neither an IP address nor a name"));
        assert!(refusal(":80").contains("\"0.0.0.0:80\""));
        assert!(refusal("unix:").contains("names no path"));
    }

    #[test]
    fn the_wildcard_conflicts_with_each_address_of_its_port() {
        assert!(conflict("0.0.0.0:80", "127.0.0.1:80"));
        assert!(conflict("0.0.0.0:80", "localhost:80"));
        assert!(conflict("[::]:80", "127.0.0.1:80"));
        assert!(conflict("[::]:80", "0.0.0.0:80"));
        assert!(!conflict("0.0.0.0:80", "[::1]:80"));
        assert!(!conflict("0.0.0.0:80", "127.0.0.1:81"));
    }

    #[test]
    fn only_equal_addresses_conflict_otherwise_and_port_0_never() {
        assert!(conflict("127.0.0.1:80", "127.0.0.1:80"));
        assert!(conflict("127.0.0.1:80", "[::ffff:127.0.0.1]:80"));
        assert!(conflict("localhost:80", "127.0.0.1:80"));
        assert!(!conflict("127.0.0.1:80", "127.0.0.2:80"));
        assert!(!conflict("0.0.0.0:0", "0.0.0.0:0"));
        assert!(conflict("unix:a", "unix:/apps/a"));
        assert!(!conflict("unix:a", "127.0.0.1:80"));
    }

    #[test]
    fn two_narrow_addresses_conflict_when_they_are_equal() {
        let narrow = ["127.0.0.1:80", "127.0.0.2:80", "[::1]:80", "unix:a", "unix:b"].map(address);
        for (mine, theirs) in narrow
            .iter()
            .flat_map(|mine| narrow.iter().map(move |theirs| (mine, theirs)))
        {
            assert_eq!(mine.conflicts_with(theirs), mine == theirs, "{mine} {theirs}");
        }
        assert!(narrow.iter().all(Address::is_narrow));
        let wide = [
            "0.0.0.0:80",
            "[::]:80",
            "[::ffff:127.0.0.1]:80",
            "[fe80::1%2]:80",
            "localhost:80",
        ];
        assert!(!wide.map(address).iter().any(Address::is_narrow));
    }
}

//! The address of a server: what has to be allowed, and where to connect.

use std::net::Ipv6Addr;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::error::Error;

const DEFAULT_PORT: u16 = 5432;
/// What guests know from Spin.
const NO_UNIX_SOCKETS: &str = "Unix sockets are not supported on WebAssembly";

/// A connection string that is understood.
#[derive(Clone)]
pub(super) struct Address(Config);

/// One of the servers of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// A name or an IP address to connect to.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whom its certificate is for.
    pub(super) name: String,
}

impl Address {
    /// A list of keys and values, or a URL.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let config: Config = text
            .parse()
            .map_err(|error: tokio_postgres::Error| Error::ConnectionFailed(error.to_string()))?;
        if config
            .get_hosts()
            .iter()
            .any(|host| matches!(host, Host::Unix(_)))
        {
            return Err(Error::ConnectionFailed(NO_UNIX_SOCKETS.into()));
        }
        Ok(Self(config))
    }

    pub(super) fn config(&self) -> &Config {
        &self.0
    }

    /// Every `host[:port]` that has to be allowed, in order: names, and the IP addresses that may stand in for them.
    pub(super) fn targets(&self) -> Vec<String> {
        let names = self.0.get_hosts().iter().map(name);
        let addresses = self.0.get_hostaddrs().iter().map(ToString::to_string);
        let named = names.enumerate().chain(addresses.enumerate());
        named.map(|(index, host)| self.target(index, &host)).collect()
    }

    fn target(&self, index: usize, host: &str) -> String {
        let ports = self.0.get_ports();
        let port = ports
            .get(index)
            .or(if ports.len() == 1 { ports.first() } else { None });
        let host = if host.parse::<Ipv6Addr>().is_ok() {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }

    /// The servers in order; the error says what is missing.
    pub(super) fn endpoints(&self) -> Result<Vec<Endpoint>, &'static str> {
        let (hosts, addresses, ports) = (self.0.get_hosts(), self.0.get_hostaddrs(), self.0.get_ports());
        let count = hosts.len().max(addresses.len());
        if count == 0 {
            return Err("both host and hostaddr are missing");
        }
        if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
            return Err("number of hosts is different from number of hostaddrs");
        }
        if ports.len() > 1 && ports.len() != count {
            return Err("invalid number of ports");
        }
        let endpoint = |index: usize| {
            let address = addresses.get(index).map(ToString::to_string);
            let name = hosts.get(index).map(name);
            let host = address.as_ref().or(name.as_ref()).cloned().unwrap_or_default();
            Endpoint {
                name: name.unwrap_or_else(|| host.clone()),
                port: ports
                    .get(index)
                    .or(ports.first())
                    .copied()
                    .unwrap_or(DEFAULT_PORT),
                host,
            }
        };
        Ok((0..count).map(endpoint).collect())
    }
}

/// Whether the name in `target` is the one that a URL's parser would see in it. A name with a character that ends the
/// host of a URL would be checked as one name and resolved as another.
pub(super) fn is_plain(target: &str) -> bool {
    if target.starts_with('[') {
        return true;
    }
    let (host, port) = target.rsplit_once(':').unwrap_or((target, ""));
    let in_name = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_' | '.');
    !host.is_empty() && host.chars().all(in_name) && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        // Refused by `parse`.
        Host::Unix(path) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(text: &str) -> Vec<String> {
        Address::parse(text).unwrap().targets()
    }

    #[test]
    fn every_host_of_an_address_is_checked() {
        assert_eq!(targets("host=db user=me"), ["db"]);
        assert_eq!(targets("host=a,b port=1,2"), ["a:1", "b:2"]);
        assert_eq!(targets("host=a,b port=7"), ["a:7", "b:7"]);
        assert_eq!(targets("postgres://me:pw@a:1,b/x"), ["a:1", "b:5432"]);
        assert_eq!(targets("postgres://[::1]:7/x"), ["[::1]:7"]);
        assert_eq!(
            targets("host=allowed hostaddr=10.0.0.1 port=7"),
            ["allowed:7", "10.0.0.1:7"]
        );
        assert_eq!(targets("hostaddr=::1"), ["[::1]"]);
        assert!(targets("user=me").is_empty());
    }

    #[test]
    fn a_name_that_a_url_would_cut_is_not_plain() {
        for target in [
            "db",
            "db:5432",
            "10.0.0.1:1",
            "a-b.c_d.example",
            "bücher.example:5",
            "[::1]:7",
        ] {
            assert!(is_plain(target), "{target}");
        }
        for target in [
            "a/b",
            "a?.evil.example:5",
            "me@a",
            "a#b",
            "a b",
            "a:b:1",
            "",
            ":5",
            "a\\b",
            "a%2fb",
        ] {
            assert!(!is_plain(target), "{target}");
        }
    }

    #[test]
    fn sockets_in_the_file_system_are_refused() {
        for text in ["host=/run/postgresql", "postgres://%2Frun%2Fpostgresql/db"] {
            let error = Address::parse(text).err().unwrap();
            assert_eq!(error, Error::ConnectionFailed(NO_UNIX_SOCKETS.into()));
        }
    }

    #[test]
    fn what_is_no_address_is_told_without_repeating_it() {
        let error = Address::parse("postgres://me:secret@host:port").err().unwrap();
        assert_eq!(error, Error::ConnectionFailed("invalid connection string".into()));
    }

    #[test]
    fn an_ip_address_stands_in_for_the_name_that_its_certificate_has() {
        let endpoints = Address::parse("host=db hostaddr=10.0.0.1")
            .unwrap()
            .endpoints()
            .unwrap();
        let endpoint = Endpoint {
            host: "10.0.0.1".into(),
            port: 5432,
            name: "db".into(),
        };
        assert_eq!(endpoints, [endpoint]);
        assert!(Address::parse("user=me").unwrap().endpoints().is_err());
        assert!(
            Address::parse("host=a,b hostaddr=10.0.0.1")
                .unwrap()
                .endpoints()
                .is_err()
        );
        assert!(Address::parse("host=a port=1,2").unwrap().endpoints().is_err());
    }
}

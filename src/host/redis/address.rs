//! Where a Redis server is, and how to introduce oneself.

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

use super::reply::Error;

/// An address that was understood. It holds the password, so it has no `Debug`.
pub(super) struct Target {
    /// As the guest gave it: what connections are pooled by.
    pub(super) address: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    /// User, password, database, protocol version.
    pub(super) login: RedisConnectionInfo,
}

impl Target {
    /// `redis://[user:password@]host[:port][/database]`, `rediss://…` for TLS.
    pub(super) fn parse(address: &str) -> Result<Self, Error> {
        let info = address
            .into_connection_info()
            .map_err(|_| Error::InvalidAddress)?;
        let (host, port, tls) = match info.addr() {
            ConnectionAddr::Tcp(host, port) => (host.clone(), *port, false),
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                ..
            } => (host.clone(), *port, true),
            ConnectionAddr::TcpTls { .. } => {
                return Err(Error::Other(
                    "TLS without verification of the certificate is not supported: remove `#insecure`".into(),
                ));
            }
            // A file of the host is nothing that a guest may name.
            _ => return Err(Error::InvalidAddress),
        };
        Ok(Self {
            address: address.into(),
            host,
            port,
            tls,
            login: info.redis_settings().clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_user_a_port_and_a_database() {
        let target = Target::parse("redis://ada:p%40ss@cache:7000/3").ok().unwrap();
        assert_eq!(
            (target.host.as_str(), target.port, target.tls),
            ("cache", 7000, false)
        );
        assert_eq!(target.login.username(), Some("ada"));
        assert_eq!(target.login.password(), Some("p@ss"));
        assert_eq!(target.login.db(), 3);
    }

    #[test]
    fn port_and_database_have_defaults() {
        let target = Target::parse("rediss://[::1]").ok().unwrap();
        assert_eq!(
            (target.host.as_str(), target.port, target.tls),
            ("::1", 6379, true)
        );
        assert_eq!(target.login.db(), 0);
    }

    #[test]
    fn files_and_other_protocols_are_no_addresses() {
        for address in [
            "",
            "cache:6379",
            "http://cache",
            "unix:///tmp/redis",
            "redis://h/x",
        ] {
            assert!(
                matches!(Target::parse(address), Err(Error::InvalidAddress)),
                "{address}"
            );
        }
    }

    #[test]
    fn certificates_are_always_verified() {
        assert!(matches!(
            Target::parse("rediss://h:1/#insecure"),
            Err(Error::Other(_))
        ));
    }
}

//! Where a server is, and how to introduce oneself.

use mysql_async::{Opts, OptsBuilder};
use url::Url;

use super::error::Error;
use crate::host::limits::MAX_BUFFERED;

/// Parameters that ask for TLS, in any case of letters.
const TLS_PARAMETERS: [&str; 2] = ["ssl-mode", "sslmode"];
/// The value of theirs that does not.
const NO_TLS: &str = "disabled";
/// One packet: what the host buffers, and what else a row has.
const MAX_PACKET: usize = MAX_BUFFERED + (1 << 20);

/// An address that was understood. It holds the password, so it has no `Debug`.
pub(super) struct Target {
    /// As the guest gave it: what connections are pooled by.
    pub(super) address: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    /// User, password, database and what else the address says.
    pub(super) options: Opts,
}

impl Target {
    /// `mysql://[user[:password]@]host[:port][/database][?parameters]`.
    pub(super) fn parse(address: &str) -> Result<Self, Error> {
        let failed = |text: String| Error::ConnectionFailed(text);
        let mut url = Url::parse(address).map_err(|error| failed(error.to_string()))?;
        let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let is_tls = |name: &str| TLS_PARAMETERS.contains(&name.to_ascii_lowercase().as_str());
        let tls = parameters
            .iter()
            .any(|(name, value)| is_tls(name) && !value.eq_ignore_ascii_case(NO_TLS));
        // The library knows others, and refuses these.
        url.set_query(None);
        let others = parameters.iter().filter(|(name, _)| !is_tls(name));
        for (name, value) in others {
            url.query_pairs_mut().append_pair(name, value);
        }
        let options = Opts::from_url(url.as_str()).map_err(|error| failed(error.to_string()))?;
        let host = options.ip_or_hostname();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = options.tcp_port();
        let options = OptsBuilder::from_opts(options)
            .ip_or_hostname(host.as_str())
            // A socket in the host's files was not asked for in the list of allowed hosts.
            .socket(None::<String>)
            .prefer_socket(false)
            .max_allowed_packet(Some(MAX_PACKET))
            .ssl_opts(None);
        Ok(Self {
            address: address.into(),
            host,
            port,
            tls,
            options: options.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str) -> Target {
        Target::parse(address).ok().unwrap()
    }

    #[test]
    fn an_address_has_user_password_port_and_database() {
        let target = parse("mysql://ada:p%40ss@db.example:3307/shop");
        assert_eq!((target.host.as_str(), target.port), ("db.example", 3307));
        assert_eq!(target.options.user(), Some("ada"));
        assert_eq!(target.options.pass(), Some("p@ss"));
        assert_eq!(target.options.db_name(), Some("shop"));
        assert_eq!(parse("mysql://[::1]/x").host, "::1");
        assert_eq!(parse("mysql://h/x").port, 3306);
    }

    #[test]
    fn tls_is_used_if_asked_for() {
        assert!(!parse("mysql://h/x").tls);
        assert!(!parse("mysql://h/x?ssl-mode=DISABLED").tls);
        assert!(parse("mysql://h/x?sslMode=VERIFY_CA").tls);
        assert!(parse("mysql://h/x?SSL-mode=preferred&tcp_nodelay=true").tls);
    }

    #[test]
    fn files_of_the_host_are_out_of_reach() {
        let target = parse("mysql://127.0.0.1/x?socket=%2Ftmp%2Fmysql.sock&prefer_socket=true");
        assert_eq!(target.options.socket(), None);
        assert!(!target.options.prefer_socket());
    }

    #[test]
    fn what_is_no_address_fails_to_connect() {
        for address in ["", "h:3306", "postgres://h/x", "mysql://h/x?nonsense=1"] {
            assert!(
                matches!(Target::parse(address), Err(Error::ConnectionFailed(_))),
                "{address}"
            );
        }
    }
}

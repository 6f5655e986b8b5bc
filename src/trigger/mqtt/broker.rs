//! From the address of a broker to the options of a connection.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use rumqttc::{MqttOptions, TlsConfiguration, Transport};
use url::Url;

use crate::net::tls_client_config;
use crate::variables::Secret;

const PLAIN_PORT: u16 = 1883;
const TLS_PORT: u16 = 8883;
/// Characters of a client's id that every broker takes are 23.
const ID_PREFIX: &str = "lepton-";
/// The largest packet that is taken: what the contract caps buffered results at.
const MAX_PACKET: usize = 128 << 20;
/// Requests, acknowledgements for the most part, that wait for the connection: as many as the protocol can have open.
const MAX_REQUESTS: usize = u16::MAX as usize;

/// A broker, and who connects to it. Equal ones need no new connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broker {
    host: String,
    port: u16,
    tls: bool,
    username: Secret,
    password: Secret,
    keep_alive: Duration,
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl Broker {
    /// What is wrong with an address, in words that don't repeat it: it comes from a template.
    pub(super) fn parse(
        address: &str,
        username: String,
        password: String,
        keep_alive: Duration,
    ) -> Result<Self, &'static str> {
        const EXPECTED: &str = "is not an address such as `mqtt://host:1883` or `mqtts://host:8883`";
        let address = match address.contains("://") {
            true => address.to_owned(),
            false => format!("mqtt://{address}"),
        };
        let url = Url::parse(&address).map_err(|_| EXPECTED)?;
        let tls = match url.scheme() {
            "mqtt" | "tcp" => false,
            "mqtts" | "ssl" => true,
            "ws" | "wss" => return Err("is one of a WebSocket, which this host does not use for MQTT"),
            _ => return Err(EXPECTED),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(EXPECTED)?;
        Ok(Self {
            host: host.to_owned(),
            port: url.port().unwrap_or(if tls { TLS_PORT } else { PLAIN_PORT }),
            tls,
            username: username.into(),
            password: password.into(),
            keep_alive,
        })
    }

    pub(super) fn options(&self) -> MqttOptions {
        // Each hasher of the standard library is seeded at random.
        let random = RandomState::new().build_hasher().finish();
        let mut options = MqttOptions::new(format!("{ID_PREFIX}{random:016x}"), &self.host, self.port);
        options
            .set_keep_alive(self.keep_alive)
            .set_clean_session(true)
            .set_manual_acks(true)
            .set_max_packet_size(MAX_PACKET, MAX_PACKET)
            .set_request_channel_capacity(MAX_REQUESTS);
        // Both members are required: an anonymous client has them empty.
        if !self.username.expose().is_empty() || !self.password.expose().is_empty() {
            options.set_credentials(self.username.expose(), self.password.expose());
        }
        if self.tls {
            let config = TlsConfiguration::Rustls(tls_client_config());
            options.set_transport(Transport::tls_with_config(config));
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(address: &str) -> Result<Broker, &'static str> {
        Broker::parse(address, "user".into(), "hush".into(), Duration::from_secs(5))
    }

    #[test]
    fn addresses_have_the_ports_of_their_schemes() {
        for (address, expected) in [
            ("mqtt://example.com", "mqtt://example.com:1883"),
            ("tcp://example.com:7", "mqtt://example.com:7"),
            ("example.com:7", "mqtt://example.com:7"),
            ("mqtts://example.com", "mqtts://example.com:8883"),
            ("ssl://[::1]:1", "mqtts://[::1]:1"),
        ] {
            assert_eq!(broker(address).unwrap().to_string(), expected);
        }
        assert!(broker("ws://example.com").unwrap_err().contains("WebSocket"));
        assert!(broker("http://example.com").is_err());
        assert!(broker("").is_err());
    }

    #[test]
    fn a_client_is_anonymous_when_it_has_no_name_and_its_password_is_not_shown() {
        let known = broker("mqtt://h").unwrap();
        assert!(!format!("{known:?}").contains("hush"));
        assert!(known.options().credentials().is_some());
        let anonymous = Broker::parse("mqtt://h", String::new(), String::new(), Duration::ZERO).unwrap();
        assert!(anonymous.options().credentials().is_none());
    }

    #[test]
    fn no_two_clients_have_one_id_and_every_broker_takes_it() {
        let broker = broker("mqtt://h").unwrap();
        let id = broker.options().client_id();
        assert_ne!(id, broker.options().client_id());
        assert!(id.len() <= 23, "{id}");
    }
}

//! Where a broker is, and how to introduce oneself.

use rumqttc::mqttbytes::v4::Connect;
use url::Url;

use super::error::Error;

const PORT: u16 = 1883;
const TLS_PORT: u16 = 8883;
/// Numbers that the reference library takes; they don't show in what a publisher does.
const IGNORED_NUMBERS: [&str; 7] = [
    "inflight_num",
    "keep_alive_secs",
    "max_incoming_packet_size_bytes",
    "max_outgoing_packet_size_bytes",
    "max_request_batch_num",
    "pending_throttle_usecs",
    "request_channel_capacity_num",
];

/// A name's length is written in two bytes, and so much of all is enough.
const MAX_CONNECT: usize = u16::MAX as usize;

/// What a guest says of itself beside the address.
pub(in crate::host) struct Login {
    pub(super) username: String,
    pub(super) password: String,
    /// How long the connection may be silent; 0 is any time.
    pub(super) keep_alive_secs: u64,
}

/// An address that was understood. It holds the password, so it has no `Debug`.
pub(super) struct Target {
    /// Address and login: those who have the same may share a connection.
    pub(super) key: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    /// The first packet.
    pub(super) connect: Connect,
}

impl Target {
    /// `mqtt://host[:port]?client_id=ID`, `mqtts://…` for TLS.
    pub(super) fn parse(address: &str, login: Login) -> Result<Self, Error> {
        let url = Url::parse(address).map_err(|_| Error::InvalidAddress)?;
        let (tls, default_port) = match url.scheme() {
            "mqtt" | "tcp" => (false, PORT),
            "mqtts" | "ssl" => (true, TLS_PORT),
            _ => return Err(Error::InvalidAddress),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(Error::InvalidAddress)?;
        let mut connect = Connect::new("");
        let mut named = false;
        for (name, value) in url.query_pairs() {
            match &*name {
                "client_id" => {
                    connect.client_id = value.into_owned();
                    named = true;
                }
                "clean_session" => {
                    connect.clean_session = value.parse().map_err(|_| Error::InvalidAddress)?;
                }
                name if IGNORED_NUMBERS.contains(&name) => {
                    value.parse::<u64>().map_err(|_| Error::InvalidAddress)?;
                }
                _ => return Err(Error::InvalidAddress),
            }
        }
        // Only a session that ends with its connection may be nameless.
        if !named || (connect.client_id.is_empty() && !connect.clean_session) {
            return Err(Error::InvalidAddress);
        }
        let key = format!(
            "{address}\0{}\0{}\0{}",
            login.username, login.password, login.keep_alive_secs
        );
        connect.keep_alive = u16::try_from(login.keep_alive_secs).unwrap_or(u16::MAX);
        if !login.username.is_empty() || !login.password.is_empty() {
            connect.set_login(login.username, login.password);
        }
        if connect.size() > MAX_CONNECT {
            return Err(Error::InvalidAddress);
        }
        Ok(Self {
            key,
            host: host.trim_start_matches('[').trim_end_matches(']').into(),
            port: url.port().unwrap_or(default_port),
            tls,
            connect,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str) -> Result<Target, Error> {
        let login = Login {
            username: "ada".into(),
            password: "secret".into(),
            keep_alive_secs: 100_000,
        };
        Target::parse(address, login)
    }

    #[test]
    fn an_address_names_a_client() {
        let target = parse("mqtt://broker?client_id=a%20b").ok().unwrap();
        assert_eq!(
            (target.host.as_str(), target.port, target.tls),
            ("broker", 1883, false)
        );
        assert_eq!(target.connect.client_id, "a b");
        assert_eq!(target.connect.keep_alive, u16::MAX);
        assert!(target.connect.clean_session);
        assert_eq!(target.connect.login.unwrap().username, "ada");
    }

    #[test]
    fn tls_has_a_port_of_its_own() {
        let target = parse("mqtts://[::1]?client_id=x&inflight_num=5").ok().unwrap();
        assert_eq!(
            (target.host.as_str(), target.port, target.tls),
            ("::1", 8883, true)
        );
        assert_eq!(parse("ssl://h:1?client_id=x").ok().unwrap().port, 1);
    }

    #[test]
    fn what_the_reference_refuses_is_refused() {
        for address in [
            "",
            "broker:1883",
            "mqtt://broker",
            "mqtt://broker?client_id=x&unknown=1",
            "mqtt://broker?client_id=x&inflight_num=many",
            "mqtt://broker?client_id=&clean_session=false",
            "http://broker?client_id=x",
            "mqtt://?client_id=x",
        ] {
            assert_eq!(parse(address).err(), Some(Error::InvalidAddress), "{address}");
        }
    }
}

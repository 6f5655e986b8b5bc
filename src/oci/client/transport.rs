//! How bytes reach a registry: TLS and its roots, proxies, timeouts, and which of http and https a host speaks.

use std::collections::HashMap;
use std::error::Error as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::super::error::OciError;
use super::tls;
use crate::errors::chain;

/// A registry that can be reached at all accepts within this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence in an answer. Large blobs may take long in total, but never pause like this.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a loopback registry may take to answer a TLS greeting before it is taken for one that does not speak TLS:
/// some plain servers wait for the rest of what they take for a request.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections are kept for the next blob, not for the next pull.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const USER_AGENT: &str = concat!("lepton/", env!("CARGO_PKG_VERSION"));

/// The schemes of registries, found out once for each host.
#[derive(Debug)]
pub(super) struct Transport {
    /// Obeys the proxy variables.
    proxied: reqwest::Client,
    /// For loopback, which no proxy could reach.
    direct: reqwest::Client,
    insecure: Vec<String>,
    /// Loopback hosts that have answered.
    schemes: Mutex<HashMap<String, Scheme>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(super) fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

impl Transport {
    /// `insecure` are hosts (`HOST:PORT`, or `HOST` for each of its ports) that are spoken to in plain http; `ca_files`
    /// are PEM files trusted in addition to the system's roots; `stall` is the longest silence that is waited through.
    pub(super) fn new(
        insecure: Vec<String>,
        ca_files: &[PathBuf],
        stall: Duration,
    ) -> Result<Transport, OciError> {
        let tls = tls::config(ca_files)?;
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(stall)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .user_agent(USER_AGENT)
                .referer(false)
        };
        let setting = |e: reqwest::Error| OciError::Setting {
            what: "the environment's proxy or TLS setting".to_owned(),
            reason: chain(&e),
        };
        Ok(Transport {
            proxied: builder().build().map_err(setting)?,
            direct: builder().no_proxy().build().map_err(setting)?,
            insecure: insecure
                .into_iter()
                .map(|host| host.to_ascii_lowercase())
                .collect(),
            schemes: Mutex::default(),
        })
    }

    /// The client for `host`, a host with an optional port.
    pub(super) fn client(&self, host: &str) -> &reqwest::Client {
        if is_loopback(host) {
            &self.direct
        } else {
            &self.proxied
        }
    }

    /// Which scheme `host` speaks: http if it is listed as insecure; https otherwise, but a loopback host that does
    /// not speak TLS gets http, as container tools do.
    pub(super) async fn scheme(&self, host: &str) -> Result<Scheme, OciError> {
        if self.is_insecure(host) {
            return Ok(Scheme::Http);
        }
        if !is_loopback(host) {
            return Ok(Scheme::Https);
        }
        if let Some(scheme) = self.known(host) {
            return Ok(scheme);
        }
        let greeting = self
            .direct
            .get(format!("https://{host}/v2/"))
            .timeout(PROBE_TIMEOUT);
        let scheme = match greeting.send().await {
            Ok(_) => Scheme::Https,
            Err(error) => match classify(&error) {
                // Something is there, and speaks another language than TLS.
                Failure::NotTls => Scheme::Http,
                Failure::Network if error.is_timeout() => Scheme::Http,
                Failure::Certificate | Failure::Network => return Err(failed(host, error)),
            },
        };
        tracing::debug!(
            host,
            scheme = scheme.name(),
            "scheme of a loopback registry found out"
        );
        self.schemes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(host.to_owned(), scheme);
        Ok(scheme)
    }

    /// Forgets what a loopback host spoke: it stopped answering, and what answers next may differ.
    pub(super) fn forget(&self, host: &str) {
        self.schemes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(host);
    }

    fn known(&self, host: &str) -> Option<Scheme> {
        self.schemes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(host)
            .copied()
    }

    fn is_insecure(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.insecure
            .iter()
            .any(|listed| *listed == host || *listed == without_port(&host))
    }
}

/// What `error` says about `host`.
pub(super) fn failed(host: &str, error: reqwest::Error) -> OciError {
    // The address is in every message already, and may hold a signed query.
    let failure = classify(&error);
    let (host, source) = (host.to_owned(), Box::new(error.without_url()));
    match failure {
        Failure::Certificate => OciError::Untrusted { host, source },
        Failure::NotTls | Failure::Network => OciError::Unreachable { host, source },
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Failure {
    Certificate,
    NotTls,
    Network,
}

fn classify(error: &reqwest::Error) -> Failure {
    let mut refused = error.is_timeout();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return match tls {
                rustls::Error::InvalidCertificate(_) => Failure::Certificate,
                _ => Failure::NotTls,
            };
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            refused |= io.kind() == std::io::ErrorKind::ConnectionRefused;
            // `source()` of an io::Error skips the error that it wraps.
            if let Some(wrapped) = io.get_ref() {
                cause = Some(wrapped);
                continue;
            }
        }
        cause = inner.source();
    }
    // A plain server may also just hang up on a TLS greeting.
    if error.is_connect() && !refused {
        Failure::NotTls
    } else {
        Failure::Network
    }
}

/// Whether the host (with or without port) is this machine by name or address.
fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport(insecure: &[&str]) -> Transport {
        let insecure = insecure.iter().map(|host| (*host).to_owned()).collect();
        Transport::new(insecure, &[], STALL_TIMEOUT).unwrap()
    }

    #[test]
    fn loopback_is_known_by_name_and_address() {
        for host in [
            "localhost",
            "LOCALHOST:5000",
            "127.0.0.1",
            "127.3.2.1:80",
            "[::1]:5000",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["ghcr.io", "10.0.0.1:5000", "localhost.example.org", "[::2]:5000"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[tokio::test]
    async fn a_listed_host_speaks_http_and_any_other_remote_one_https() {
        let transport = transport(&["Reg.example:5000", "other.example"]);
        for (host, scheme) in [
            ("reg.example:5000", Scheme::Http),
            ("reg.example", Scheme::Https),
            ("reg.example:5001", Scheme::Https),
            ("other.example", Scheme::Http),
            ("other.example:5000", Scheme::Http),
            ("ghcr.io", Scheme::Https),
        ] {
            assert_eq!(transport.scheme(host).await.unwrap(), scheme, "{host}");
        }
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_is_unreachable_and_not_http() {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let transport = transport(&[]);
        let error = transport.scheme(&format!("127.0.0.1:{port}")).await.unwrap_err();
        assert!(matches!(error, OciError::Unreachable { .. }), "{error:?}");
    }
}

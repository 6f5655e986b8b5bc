//! TLS as a server: what files and options say of it.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{ConfigBuilder, Error as RustlsError, ServerConfig, WantsVerifier};

/// How clients are met by TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    pub certificate: CertificateSource,
    /// Whose certificates clients need, in PEM; `None`: they need none.
    pub client_ca: Option<PathBuf>,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// Files in PEM, read again when they change.
    Files(KeyPairFiles),
    /// Ordered by ACME, one for each host.
    Acme(AcmeOrder),
}

/// A certificate chain and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyPairFiles {
    /// The server's own certificate first.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// How certificates are ordered (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcmeOrder {
    /// The URL of the authority's directory; `None`: the daemon's.
    pub directory: Option<String>,
    /// Whom the authority may write to, as URLs; `None`: the daemon's.
    pub contact: Option<Vec<String>>,
    pub challenge: AcmeChallenge,
}

/// How an authority is shown that a name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AcmeChallenge {
    /// By a handshake on port 443 (RFC 8737).
    #[default]
    TlsAlpn01,
    /// By a request on port 80 (RFC 8555 §8.3).
    Http01,
}

impl AcmeChallenge {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Http01 => "http-01",
        }
    }
}

/// TLS 1.2 and 1.3.
pub(crate) fn server_config() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, RustlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13, &TLS12])
}

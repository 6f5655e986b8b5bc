//! A client that speaks TLS and shows what it was met with.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::client::{Connection, Reply, Result, connect};
use super::tls::Certificate;
use super::wait::PATIENCE;

/// Whom it trusts and what it offers. By default both versions of TLS, and HTTP/1.1.
#[derive(Clone)]
pub struct TlsClient {
    roots: RootCertStore,
    versions: Vec<&'static SupportedProtocolVersion>,
    protocols: Vec<Vec<u8>>,
    certificate: Option<(Vec<CertificateDer<'static>>, Arc<PrivateKeyDer<'static>>)>,
    /// With its sessions, if it keeps them.
    kept: Option<Arc<ClientConfig>>,
}

/// A connection, and what the server showed of itself.
pub struct TlsConnection {
    pub connection: Connection,
    /// As DER, its own first.
    pub chain: Vec<Vec<u8>>,
    pub version: ProtocolVersion,
    pub protocol: Option<String>,
    pub resumed: bool,
}

impl TlsClient {
    /// It trusts these authorities, in PEM.
    pub fn trusting(authorities: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
            roots.add(authority.expect("PEM")).expect("an authority");
        }
        Self {
            roots,
            versions: rustls::ALL_VERSIONS.to_vec(),
            protocols: vec![b"http/1.1".to_vec()],
            certificate: None,
            kept: None,
        }
    }

    pub fn only(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    /// What it offers to speak, the best first.
    pub fn offering(mut self, protocols: &[&str]) -> Self {
        self.protocols = protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        self
    }

    /// What it shows of itself when it is asked.
    pub fn showing(mut self, certificate: &Certificate) -> Self {
        let key = PrivateKeyDer::from_pem_slice(certificate.key.serialize_pem().as_bytes()).expect("a key");
        self.certificate = Some((vec![certificate.der.clone().into()], Arc::new(key)));
        self
    }

    /// It takes up its sessions again; others begin anew each time, and see the certificate of the day.
    pub fn resuming(mut self) -> Self {
        self.kept = Some(Arc::new(self.config()));
        self
    }

    /// A connection to whoever is called `name`; requests on it are for that host.
    pub async fn open(&self, address: SocketAddr, name: &str) -> Result<TlsConnection> {
        let opened = timeout(PATIENCE, self.handshake(address, name)).await;
        opened.map_err(|_| "no handshake in time".to_owned())?
    }

    /// One request on a connection of its own.
    pub async fn get(&self, address: SocketAddr, name: &str, path: &str) -> Result<Reply> {
        self.open(address, name).await?.connection.get(path).await
    }

    async fn handshake(&self, address: SocketAddr, name: &str) -> Result<TlsConnection> {
        let authority = format!("{name}:{}", address.port());
        self.open_over(connect(address).await?, name, authority).await
    }

    /// The same over a stream on which something else may have been sent before.
    pub async fn open_over<S>(&self, stream: S, name: &str, authority: String) -> Result<TlsConnection>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let config = self.kept.clone().unwrap_or_else(|| Arc::new(self.config()));
        let connector = TlsConnector::from(config);
        let server = ServerName::try_from(name.to_owned()).expect("a name");
        let stream = connector.connect(server, stream).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let session = stream.get_ref().1;
        let chain = session.peer_certificates().unwrap_or_default();
        let chain = chain.iter().map(|certificate| certificate.to_vec()).collect();
        let version = session.protocol_version().expect("it is decided");
        let protocol = session
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned());
        let resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        let connection = match protocol.as_deref() {
            Some("h2") => Connection::h2_over(stream, "https", authority).await?,
            _ => Connection::over(stream, "https", authority).await?,
        };
        Ok(TlsConnection {
            connection,
            chain,
            version,
            protocol,
            resumed,
        })
    }

    fn config(&self) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .expect("versions that there are")
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .expect("a certificate and its key"),
        };
        config.alpn_protocols = self.protocols.clone();
        config
    }
}

//! From a client's first bytes to a connection that speaks TLS.

use std::sync::Arc;
use std::time::Duration;

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::acme::{self, Challenges};
use super::app::{AppTls, Lack};
use crate::net::ClientAuthority;

/// How long a client may take for its handshake, the wait for a place included.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes that one address has under way at once.
const MAX_HANDSHAKES: usize = 1024;
/// The alert `unrecognized_name`, fatal, in a record of its own (RFC 8446 §6).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// What is known of a connection by its handshake.
#[derive(Clone, Default)]
pub(in crate::trigger::http) struct TlsFacts {
    /// Whose certificate the client had to show.
    authority: Option<Arc<ClientAuthority>>,
}

impl TlsFacts {
    /// Whether a request over this connection may go to an app that is met so. Clients use one connection for several
    /// hosts (RFC 9113 §9.1.1), which may not demand the same of them.
    pub(in crate::trigger::http) fn satisfy(&self, tls: &AppTls) -> bool {
        match tls.demands() {
            None => true,
            Some(demanded) => self
                .authority
                .as_ref()
                .is_some_and(|checked| Arc::ptr_eq(checked, &demanded)),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(in crate::trigger::http) enum HandshakeError {
    #[error("the client took too long")]
    TimedOut,
    #[error("the client asked for {}, which nothing here is called", shown(.0.as_deref()))]
    UnknownName(Option<String>),
    #[error("there is no certificate yet for {0}")]
    NoCertificate(String),
    #[error("the handshake failed")]
    Io(#[from] std::io::Error),
}

fn shown(name: Option<&str>) -> String {
    name.map_or_else(|| "no name".to_owned(), |name| format!("{name:?}"))
}

/// The handshakes of one address.
pub(in crate::trigger::http) struct Handshakes {
    places: Semaphore,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self {
            places: Semaphore::new(MAX_HANDSHAKES),
        }
    }
}

impl Handshakes {
    /// Does one. `choose` finds whose certificate is for a name, in lower case; `None` for a client that names no host.
    /// `Ok(None)`: the client was an authority that looked at our answer to its challenge, and wants nothing else.
    pub(in crate::trigger::http) async fn accept<S>(
        &self,
        stream: S,
        challenges: &Challenges,
        choose: impl FnOnce(Option<&str>) -> Option<Arc<AppTls>>,
    ) -> Result<Option<(TlsStream<S>, TlsFacts)>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        timeout(
            HANDSHAKE_TIMEOUT,
            accept(stream, &self.places, challenges, choose),
        )
        .await
        .unwrap_or(Err(HandshakeError::TimedOut))
    }
}

async fn accept<S>(
    stream: S,
    places: &Semaphore,
    challenges: &Challenges,
    choose: impl FnOnce(Option<&str>) -> Option<Arc<AppTls>>,
) -> Result<Option<(TlsStream<S>, TlsFacts)>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    // Never closed. Whoever says nothing has no place.
    let _place = places.acquire().await;
    let client = start.client_hello();
    let name = client.server_name().map(str::to_ascii_lowercase);
    let is_challenge = client
        .alpn()
        .is_some_and(|mut protocols| protocols.any(|protocol| protocol == acme::TLS_ALPN));
    if is_challenge && let Some(answer) = challenges.handshake(name.as_deref()) {
        start.into_stream(answer).await?.shutdown().await?;
        return Ok(None);
    }
    let refusal = match choose(name.as_deref()) {
        None => HandshakeError::UnknownName(name),
        Some(tls) => match tls.lacks(name.as_deref()) {
            None => {
                let configured = tls.configured();
                let stream = start.into_stream(configured.server.clone()).await?;
                let authority = configured.authority.clone();
                return Ok(Some((stream, TlsFacts { authority })));
            }
            Some(Lack::OtherName) => HandshakeError::UnknownName(name),
            Some(Lack::NotYet(ordered)) => {
                ordered.asked_for();
                HandshakeError::NoCertificate(ordered.to_string())
            }
        },
    };
    // The server has said nothing yet, so that the alert may be written as it is.
    let mut stream = start.io;
    stream.write_all(&UNRECOGNIZED_NAME).await?;
    stream.shutdown().await?;
    Err(refusal)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};
    use tokio::io::{DuplexStream, duplex};
    use tokio::time::{Instant, sleep};
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::net::{CertificateFiles, KeyPairFiles};

    const HOST: &str = "a.example";

    /// What the server has, and what clients trust.
    fn certificate() -> (Arc<AppTls>, Arc<ClientConfig>) {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (directory.path().join("c"), directory.path().join("k"));
        let signed = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
        std::fs::write(&certificate, signed.cert.pem()).unwrap();
        std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
        let files = KeyPairFiles { certificate, key };
        let tls = AppTls::of_address(&files, &CertificateFiles::default()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(signed.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (tls, Arc::new(client))
    }

    fn host() -> ServerName<'static> {
        HOST.try_into().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_may_be_under_way_wait_until_others_are_out_of_time() {
        let (tls, client) = certificate();
        let handshakes = Arc::new(Handshakes {
            places: Semaphore::new(2),
        });
        let meet = |stream: DuplexStream| {
            let (handshakes, tls) = (handshakes.clone(), tls.clone());
            tokio::spawn(async move {
                let challenges = Challenges::default();
                let met = handshakes.accept(stream, &challenges, |_| Some(tls)).await;
                met.map(|met| met.map(|(stream, _)| stream))
            })
        };
        // Those who have said nothing need no place; those who have said hello have one, and say nothing else.
        let mut clients = Vec::new();
        let mut held = Vec::new();
        for says_hello in [false, false, true, true] {
            let (mut stream, server) = duplex(1 << 14);
            if says_hello {
                let mut hello = Vec::new();
                let mut connection = ClientConnection::new(client.clone(), host()).unwrap();
                connection.write_tls(&mut hello).unwrap();
                stream.write_all(&hello).await.unwrap();
            }
            held.push(meet(server));
            clients.push(stream);
        }
        sleep(HANDSHAKE_TIMEOUT / 2).await;
        let begin = Instant::now();
        let (stream, server) = duplex(1 << 14);
        let server = meet(server);
        let connected = TlsConnector::from(client).connect(host(), stream).await;
        assert!(connected.is_ok());
        let waited = begin.elapsed();
        assert!(
            waited >= HANDSHAKE_TIMEOUT / 2 && waited < HANDSHAKE_TIMEOUT * 6 / 10,
            "{waited:?}"
        );
        assert!(server.await.unwrap().unwrap().is_some());
        for held in held {
            assert!(matches!(held.await.unwrap(), Err(HandshakeError::TimedOut)));
        }
    }
}

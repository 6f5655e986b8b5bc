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
use super::pem::ClientAuthority;

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

//! Connections to the admin API: from a socket to requests, so many and for so long as is sensible where anybody can connect.

use std::fmt;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::net::{
    Certificate, CertificateError, CertificateFiles, ClientAuthority, KeyPairFiles, SocketFile, Watched,
    server_config,
};
use crate::tasks;
use crate::telemetry::Tally;

/// Connections that a door has at once. Dashboards and probes have a few; more are closed as soon as they are open.
const MAX_CONNECTIONS: usize = 256;
/// How long a client may take for the head of a request, and how long a connection is kept that has none.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take for its handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing is accepted after there was no descriptor for a connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);
const PROTOCOL: &[u8] = b"http/1.1";

/// A socket that listens.
pub(super) enum Listening {
    Tcp(TcpListener),
    Unix {
        socket: UnixListener,
        path: PathBuf,
        file: Arc<SocketFile>,
    },
}

impl Listening {
    /// The file of the socket is removed with it.
    pub(super) fn unix(socket: UnixListener, path: &Path) -> Self {
        Self::Unix {
            socket,
            path: path.to_owned(),
            file: Arc::new(SocketFile::of(path)),
        }
    }

    /// The file of the socket, if it has one.
    pub(super) fn file(&self) -> Option<Arc<SocketFile>> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix { file, .. } => Some(file.clone()),
        }
    }

    /// A second handle to the socket.
    pub(super) fn second_handle(&self) -> std::io::Result<OwnedFd> {
        match self {
            Self::Tcp(socket) => socket.as_fd().try_clone_to_owned(),
            Self::Unix { socket, .. } => socket.as_fd().try_clone_to_owned(),
        }
    }

    /// Whether nothing that is said here leaves the machine.
    pub(super) fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Tcp(socket) => socket
                .local_addr()
                .is_ok_and(|address| address.ip().is_loopback()),
            Self::Unix { .. } => true,
        }
    }

    async fn accept(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(socket) => Box::new(socket.accept().await?.0),
            Self::Unix { socket, .. } => Box::new(socket.accept().await?.0),
        })
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(socket) => match socket.local_addr() {
                Ok(address) => address.fmt(f),
                Err(_) => f.write_str("an address that is not known"),
            },
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// How clients are met by TLS. Files are read again when they change.
#[derive(Clone)]
pub(super) struct DoorTls {
    certificate: Arc<Watched<Certificate>>,
    authority: Option<Arc<Watched<ClientAuthority>>>,
}

impl DoorTls {
    /// `authority`: whose certificates clients need. Blocks on the disk.
    pub(super) fn new(
        files: &CertificateFiles,
        pair: &KeyPairFiles,
        authority: Option<&Path>,
    ) -> Result<Self, CertificateError> {
        Ok(Self {
            certificate: files.certificate(pair)?,
            authority: authority.map(|file| files.authority(file)).transpose()?,
        })
    }

    /// For one handshake: clients are few, and a changed file holds at once.
    fn config(&self) -> Result<ServerConfig, rustls::Error> {
        let builder = server_config()?;
        let builder = match &self.authority {
            Some(authority) => builder.with_client_cert_verifier(authority.current().verifier.clone()),
            None => builder.with_no_client_auth(),
        };
        let certificate = SingleCertAndKey::from(self.certificate.current().key.clone());
        let mut config = builder.with_cert_resolver(Arc::new(certificate));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(config)
    }
}

/// A socket, and what is served there.
pub(super) struct Door {
    pub(super) listening: Listening,
    pub(super) tls: Option<DoorTls>,
    pub(super) router: Router,
}

impl Door {
    /// Accepts connections until `stop`, which ends those that are open, too.
    pub(super) async fn serve(self, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let refused = Tally::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = self.listening.accept() => accepted,
            };
            let Ok(stream) = accepted else {
                // One client that left before, or a lack of descriptors: the next one may fare better.
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
                continue;
            };
            match places.clone().try_acquire_owned() {
                Ok(place) => self.connect(stream, place, &stop),
                Err(_) => {
                    if let Some(refused) = refused.add() {
                        let address = &self.listening;
                        tracing::warn!(%address, refused, "connections to the admin API are closed at once: there are {MAX_CONNECTIONS}");
                    }
                }
            }
        }
    }

    fn connect(&self, stream: Box<dyn Stream>, place: OwnedSemaphorePermit, stop: &CancellationToken) {
        let (tls, router, stop) = (self.tls.clone(), self.router.clone(), stop.clone());
        tasks::spawn("admin connection", async move {
            let _place = place;
            tokio::select! {
                () = converse(stream, tls, router) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// A client that breaks the protocol or its connection ends its connection, nothing else.
async fn converse(stream: Box<dyn Stream>, tls: Option<DoorTls>, router: Router) {
    let Some(tls) = tls else {
        return requests(stream, router).await;
    };
    let Ok(config) = tls.config() else {
        return tracing::error!("the system gives no randomness for TLS of the admin API");
    };
    let handshake = TlsAcceptor::from(Arc::new(config)).accept(stream);
    match timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => requests(stream, router).await,
        Ok(Err(error)) => tracing::debug!(%error, "no TLS with a client of the admin API"),
        Err(_) => tracing::debug!("a client of the admin API took too long for its handshake"),
    }
}

async fn requests(stream: impl Stream, router: Router) {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the admin API failed");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_asks_is_let_go() {
        let (mut client, server) = tokio::io::duplex(64);
        let start = tokio::time::Instant::now();
        tokio::spawn(converse(Box::new(server), None, Router::new()));
        let mut said = Vec::new();
        // A connection that breaks off has ended, too.
        let _ = client.read_to_end(&mut said).await;
        assert!(start.elapsed() >= HEADER_TIMEOUT && start.elapsed() < 2 * HEADER_TIMEOUT);
    }
}

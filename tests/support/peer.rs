//! What guests call: an HTTP server that says how it was reached, with TLS or without, and echoes of bytes and datagrams.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::tls::Authority;

/// A server; it ends when dropped.
pub struct Peer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// A place for each response to `/held` that may be given.
    held: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Peer {
    /// HTTP/1.1, and HTTP/2 for those who speak it first.
    pub async fn plain() -> Self {
        Self::start(None).await
    }

    /// The same behind TLS, by a certificate of `authority` for 127.0.0.1. Clients may show one of the same authority.
    pub async fn tls(authority: &Authority) -> Self {
        Self::start(Some(TlsAcceptor::from(Arc::new(tls_config(authority))))).await
    }

    async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::<AtomicUsize>::default();
        let held = Arc::new(Semaphore::new(0));
        let (counted, gate) = (connections.clone(), held.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (tls, gate) = (tls.clone(), gate.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, false, gate).await,
                        Some(tls) => {
                            // A client that does not like the certificate is what some scenarios are about.
                            let Ok(stream) = tls.accept(stream).await else {
                                return;
                            };
                            let known = stream.get_ref().1.peer_certificates().is_some();
                            serve(stream, known, gate).await;
                        }
                    }
                });
            }
        });
        Self {
            address,
            connections,
            held,
            task,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many have been accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Lets `count` responses to `/held` go.
    pub fn release(&self, count: usize) {
        self.held.add_permits(count);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<S>(stream: S, known: bool, held: Arc<Semaphore>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let held = held.clone();
        async move {
            if request.uri().path() == "/held" {
                held.acquire().await.expect("it is never closed").forget();
            }
            let who = if known { "known" } else { "unknown" };
            let text = format!("{:?} {who}", request.version());
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
        }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    // Its errors show at the other end.
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}

fn tls_config(authority: &Authority) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.certificate().as_bytes()).expect("a certificate");
    roots.add(root).expect("a root");
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .allow_unauthenticated()
        .build()
        .expect("a verifier");
    let own = authority.sign("127.0.0.1");
    let key = PrivateKeyDer::from_pem_slice(own.key.serialize_pem().as_bytes()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.der.into()], key)
        .expect("a certificate and its key");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// Sends back what it is sent, over TCP and over UDP, each on a port of its own.
pub struct Echo {
    pub tcp: SocketAddr,
    pub udp: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

impl Echo {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let (tcp, udp) = (listener.local_addr(), socket.local_addr());
        let connections = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    drop(tokio::io::copy(&mut read, &mut write).await);
                });
            }
        });
        let datagrams = tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                drop(socket.send_to(&buffer[..length], from).await);
            }
        });
        Self {
            tcp: tcp.expect("an address"),
            udp: udp.expect("an address"),
            tasks: [connections, datagrams],
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

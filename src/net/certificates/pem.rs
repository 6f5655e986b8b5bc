//! PEM files to what a handshake needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::verify_server_name;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{Error as RustlsError, InconsistentKeys, RootCertStore};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Why files can't be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{} can't be read", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} is not valid PEM", path.display())]
    Pem { path: PathBuf, source: pem::Error },
    #[error("{} holds no certificate; it needs one that begins with BEGIN CERTIFICATE", .0.display())]
    NoCertificate(PathBuf),
    #[error("{} holds no private key that can be used; it needs an unencrypted one that begins with BEGIN PRIVATE KEY", .0.display())]
    NoKey(PathBuf),
    #[error("the certificate in {} can't be used", path.display())]
    Certificate { path: PathBuf, source: RustlsError },
    #[error("the certificate in {} can't be read", path.display())]
    Validity {
        path: PathBuf,
        source: x509_parser::nom::Err<x509_parser::error::X509Error>,
    },
    #[error("the key in {} can't be used", path.display())]
    Key { path: PathBuf, source: RustlsError },
    #[error("the key in {} is not that of the certificate in {}; both must come from the same order", key.display(), certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("the authorities in {} can't be used", path.display())]
    Authority {
        path: PathBuf,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A file and what stood in it.
pub struct PemFile<'a> {
    pub path: &'a Path,
    pub content: &'a [u8],
}

/// A certificate chain with its key.
#[derive(Debug)]
pub struct Certificate {
    pub key: Arc<CertifiedKey>,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

impl Certificate {
    /// The chain, the server's own certificate first, and the first key of the other file; it may be the same file.
    pub(crate) fn parse(certificate: &PemFile<'_>, key: &PemFile<'_>) -> Result<Self, CertificateError> {
        let chain = certificates(certificate)?;
        let own = &chain[0];
        let (_, parsed) = X509Certificate::from_der(own).map_err(|source| CertificateError::Validity {
            path: certificate.path.to_owned(),
            source,
        })?;
        let not_before = time(parsed.validity().not_before.timestamp());
        let not_after = time(parsed.validity().not_after.timestamp());
        let private = PrivateKeyDer::from_pem_slice(key.content).map_err(|error| match error {
            pem::Error::NoItemsFound => CertificateError::NoKey(key.path.to_owned()),
            source => CertificateError::Pem {
                path: key.path.to_owned(),
                source,
            },
        })?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key_error = |source| CertificateError::Key {
            path: key.path.to_owned(),
            source,
        };
        let private = provider
            .key_provider
            .load_private_key(private)
            .map_err(key_error)?;
        let certified = CertifiedKey::new(chain, private);
        match certified.keys_match() {
            // A key that does not tell its public half can't be compared.
            Ok(()) | Err(RustlsError::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(RustlsError::InconsistentKeys(_)) => {
                return Err(CertificateError::Mismatch {
                    certificate: certificate.path.to_owned(),
                    key: key.path.to_owned(),
                });
            }
            Err(source) => {
                return Err(CertificateError::Certificate {
                    path: certificate.path.to_owned(),
                    source,
                });
            }
        }
        Ok(Self {
            key: Arc::new(certified),
            not_before,
            not_after,
        })
    }
}

impl Certificate {
    /// Whether clients take it for a server of that name.
    pub fn is_for(&self, name: &str) -> bool {
        // Read before.
        let Ok(parsed) = ParsedCertificate::try_from(&self.key.cert[0]) else {
            return false;
        };
        ServerName::try_from(name).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
    }
}

/// Whose certificates clients may show.
#[derive(Debug)]
pub struct ClientAuthority {
    pub verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientAuthority {
    pub(crate) fn parse(file: &PemFile<'_>) -> Result<Self, CertificateError> {
        let error = |source: Box<dyn std::error::Error + Send + Sync>| CertificateError::Authority {
            path: file.path.to_owned(),
            source,
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(file)? {
            roots.add(certificate).map_err(|source| error(source.into()))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|source| error(source.into()))?;
        Ok(Self { verifier })
    }
}

/// At least one.
fn certificates(file: &PemFile<'_>) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let found = CertificateDer::pem_slice_iter(file.content).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|source| CertificateError::Pem {
        path: file.path.to_owned(),
        source,
    })?;
    if found.is_empty() {
        return Err(CertificateError::NoCertificate(file.path.to_owned()));
    }
    Ok(found)
}

/// From seconds since 1970, which certificates may put before it.
fn time(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = match seconds >= 0 {
        true => SystemTime::UNIX_EPOCH.checked_add(distance),
        false => SystemTime::UNIX_EPOCH.checked_sub(distance),
    };
    // No certificate's four digits of a year reach beyond what the system can tell.
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

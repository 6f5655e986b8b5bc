//! TLS as a client.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::{ClientConfig, RootCertStore};

/// Whom a client trusts, and by what it is known (`docs/contract/runtime-config.md §7`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The system's roots, or those that SSL_CERT_FILE names.
    pub platform_roots: bool,
    /// Mozilla's, as this program was built with them.
    pub webpki_roots: bool,
    /// More roots, in PEM.
    pub roots_file: Option<PathBuf>,
    /// A certificate chain and its key, both in PEM.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}

/// Why such settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{} can't be read as PEM", path.display())]
    Pem { path: PathBuf, source: pem::Error },
    #[error("{} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    #[error("a certificate in {} can't be used", path.display())]
    Root { path: PathBuf, source: rustls::Error },
    #[error("the certificate {} and its key do not fit", path.display())]
    ClientCertificate { path: PathBuf, source: rustls::Error },
}

/// Trusts the system's roots (or those that SSL_CERT_FILE names), has no certificate of its own, negotiates no protocol.
/// Read once for the process.
pub fn tls_client_config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let config = ClientConfig::builder().with_root_certificates(platform_roots().clone());
        Arc::new(config.with_no_client_auth())
    };
    CONFIG.get_or_init(make).clone()
}

impl TlsSettings {
    /// Reads the files. Blocks on the disk.
    ///
    /// # Errors
    /// A file that can't be read or used, by its path.
    pub fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let mut roots = match self.platform_roots {
            true => platform_roots().clone(),
            false => RootCertStore::empty(),
        };
        if self.webpki_roots {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if let Some(path) = &self.roots_file {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|source| TlsError::Root {
                    path: path.clone(),
                    source,
                })?;
            }
        }
        let config = ClientConfig::builder().with_root_certificates(roots);
        let Some((path, key_path)) = &self.client_certificate else {
            return Ok(config.with_no_client_auth());
        };
        let key = PrivateKeyDer::from_pem_file(key_path).map_err(|source| TlsError::Pem {
            path: key_path.clone(),
            source,
        })?;
        config
            .with_client_auth_cert(certificates(path)?, key)
            .map_err(|source| TlsError::ClientCertificate {
                path: path.clone(),
                source,
            })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |source| TlsError::Pem {
        path: path.to_owned(),
        source,
    };
    let found = CertificateDer::pem_file_iter(path).map_err(error)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(error)?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(found)
}

fn platform_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(read_platform_roots)
}

fn read_platform_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "a root certificate of the system can't be read");
    }
    let (_, ignored) = roots.add_parsable_certificates(found.certs);
    if ignored > 0 {
        tracing::debug!(ignored, "root certificates of the system that are not usable");
    }
    if roots.is_empty() {
        tracing::warn!(
            "no root certificates found: guests can't use https; install the system's, or name a file with SSL_CERT_FILE"
        );
    }
    roots
}

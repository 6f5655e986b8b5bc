//! Whom registries are believed: the system's roots and the operator's own authorities.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::super::error::OciError;

/// TLS that trusts the system's roots and those in `ca_files` (PEM).
pub(super) fn config(ca_files: &[PathBuf]) -> Result<ClientConfig, OciError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "some of the system's root certificates cannot be read");
    }
    roots.add_parsable_certificates(system.certs);
    for file in ca_files {
        add_roots(&mut roots, file)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| OciError::Setting {
            what: "TLS".to_owned(),
            reason: e.to_string(),
        })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn add_roots(roots: &mut RootCertStore, file: &Path) -> Result<(), OciError> {
    let bad = |reason: String| OciError::Setting {
        what: format!("--registry-ca {}", file.display()),
        reason,
    };
    let pem = std::fs::read(file).map_err(|e| bad(e.to_string()))?;
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| bad(format!("it is not valid PEM ({e})")))?;
        roots
            .add(certificate)
            .map_err(|e| bad(format!("it holds a certificate that is not valid ({e})")))?;
        found += 1;
    }
    if found == 0 {
        return Err(bad(
            "it holds no certificate; expected PEM with BEGIN CERTIFICATE".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_without_certificate_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let message = config(&[file.path().to_owned()]).unwrap_err().to_string();
        assert!(
            message.contains("--registry-ca") && message.contains("no certificate"),
            "{message}"
        );
        let message = config(&["/nonexistent/ca.pem".into()]).unwrap_err().to_string();
        assert!(message.contains("/nonexistent/ca.pem"), "{message}");
    }
}

//! Whom the server's certificate has to be of.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};

use super::error::Error;
use crate::net;

/// What guests know from Spin.
const INVALID: &str = "invalid root certificate: invalid root certificate";

/// The authority that a guest trusts instead of the platform's.
#[derive(Clone)]
pub(super) struct Authority {
    /// As the guest gave it: what pools are told apart by.
    pub(super) pem: Arc<str>,
    verifier: Arc<Verifier>,
}

impl Authority {
    /// One certificate or several.
    pub(super) fn parse(pem: &str) -> Result<Self, Error> {
        let invalid = || Error::Other(INVALID.into());
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let certificates = certificates.map_err(|_| invalid())?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|_| invalid())?;
        }
        // It refuses to be built of no certificate.
        let inner = WebPkiServerVerifier::builder(Arc::new(roots))
            .build()
            .map_err(|_| invalid())?;
        Ok(Self {
            pem: pem.into(),
            verifier: Arc::new(Verifier { inner, certificates }),
        })
    }
}

pub(super) fn client_config(authority: Option<&Authority>) -> ClientConfig {
    match authority {
        None => net::tls_client_config().as_ref().clone(),
        Some(authority) => ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(authority.verifier.clone())
            .with_no_client_auth(),
    }
}

/// As usual, but a server may also have the very certificate that is trusted: many are their own authority, as
/// `openssl req -x509` makes them, which the usual verifier takes for the misuse of an authority.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let verified = self
            .inner
            .verify_server_cert(certificate, intermediates, name, ocsp, now);
        match verified {
            // What is wrong is that it is an authority: it was seen to be valid at this time before.
            Err(TlsError::InvalidCertificate(CertificateError::Other(_)))
                if self.certificates.iter().any(|trusted| trusted == certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    fn provide() {
        // Another test may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }

    /// A certificate for `localhost` that is its own authority.
    fn own(expired: bool) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        if expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn verify(
        trusted: &CertifiedIssuer<'_, KeyPair>,
        shown: &CertificateDer<'_>,
        name: &str,
    ) -> Result<(), TlsError> {
        let authority = Authority::parse(&trusted.pem()).unwrap();
        let name = ServerName::try_from(name).unwrap();
        authority
            .verifier
            .verify_server_cert(shown, &[], &name, &[], UnixTime::now())
            .map(drop)
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        provide();
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in ["", "junk", junk] {
            assert_eq!(
                Authority::parse(pem).err(),
                Some(Error::Other(INVALID.into())),
                "{pem}"
            );
        }
    }

    #[test]
    fn a_server_may_be_its_own_authority() {
        provide();
        let own = own(false);
        assert_eq!(verify(&own, own.der(), "localhost"), Ok(()));
    }

    #[test]
    fn its_own_authority_is_still_bound_to_name_and_time() {
        provide();
        let (first, second, expired) = (own(false), own(false), own(true));
        assert!(verify(&first, first.der(), "elsewhere").is_err());
        assert!(verify(&first, second.der(), "localhost").is_err());
        assert!(verify(&expired, expired.der(), "localhost").is_err());
    }

    #[test]
    fn whom_the_authority_signed_is_trusted() {
        provide();
        let authority = own(false);
        let params = CertificateParams::new(vec!["db.example".to_owned()]).unwrap();
        let signed = params
            .signed_by(&KeyPair::generate().unwrap(), &authority)
            .unwrap();
        assert_eq!(verify(&authority, signed.der(), "db.example"), Ok(()));
        assert!(verify(&authority, signed.der(), "localhost").is_err());
    }
}

//! A certificate authority of the tests' own.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

/// An authority, and what it signs.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
pub struct Certificate {
    pub certificate: String,
    pub der: Vec<u8>,
    pub key: KeyPair,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    pub fn new() -> Self {
        let (params, key) = authority("lepton's tests");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// What clients have to trust, as PEM.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Another one, which this one signs.
    pub fn authorise(&self) -> Self {
        let (params, key) = authority("an intermediate authority");
        Self(CertifiedIssuer::signed_by(params, key, &self.0).expect("a certificate"))
    }

    /// For a name or an address.
    pub fn sign(&self, subject: &str) -> Certificate {
        self.sign_until(subject, None)
    }

    /// One that has ended long ago.
    pub fn sign_ended(&self, subject: &str) -> Certificate {
        self.sign_until(subject, Some(2001))
    }

    fn sign_until(&self, subject: &str, year: Option<i32>) -> Certificate {
        let mut params = CertificateParams::new(vec![subject.to_string()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, subject);
        if let Some(year) = year {
            params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.0).expect("a certificate");
        Certificate {
            certificate: signed.pem(),
            der: signed.der().to_vec(),
            key,
        }
    }
}

impl Certificate {
    /// Writes both as `NAME.pem` and `NAME.key`, in place: the certificate last, so that it is seen with its key.
    pub fn write(&self, directory: &Path, name: &str) {
        std::fs::write(directory.join(format!("{name}.key")), self.key.serialize_pem()).expect("a file");
        std::fs::write(directory.join(format!("{name}.pem")), &self.certificate).expect("a file");
    }
}

fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    (params, KeyPair::generate().expect("a key"))
}

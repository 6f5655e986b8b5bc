//! Public keys, as cosign, key services and OpenSSL write them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA256_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaParameters, RsaPssSaltLength, VerificationAlgorithm,
};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::pattern::{Pattern, PatternError};
use crate::oci::Source;

/// With the longest salt, as Go's library signs unless it is told otherwise.
const RSA_PSS_LONGEST_SALT: RsaParameters =
    RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Max);
/// How signatures are made, by any kind of key. cosign takes SHA-256 for each curve, key services the hash of its size.
static ALGORITHMS: [&dyn VerificationAlgorithm; 9] = [
    &ECDSA_P256_SHA256_ASN1,
    &ECDSA_P384_SHA384_ASN1,
    &ECDSA_P384_SHA256_ASN1,
    &ECDSA_P521_SHA512_ASN1,
    &ECDSA_P521_SHA256_ASN1,
    &RSA_PKCS1_2048_8192_SHA256,
    &RSA_PSS_2048_8192_SHA256,
    &RSA_PSS_LONGEST_SALT,
    &ED25519,
];
/// Bits of the shortest RSA key with which anything is verified.
const SHORTEST_RSA: usize = 2048;

/// A file of public keys, and what they are for.
#[derive(Debug, Clone)]
pub struct TrustedKeys {
    /// `None`: every artifact.
    pattern: Option<Pattern>,
    file: PathBuf,
    keys: Arc<[PublicKey]>,
}

/// Why a text or its file gives no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// What stands before the first `=`.
    #[error("{0}; a file whose name has a \"=\" is written as \"*=FILE\" (registries) or \"oci:=FILE\"")]
    Pattern(PatternError),
    /// The file is not there, or not for us.
    #[error("{} can't be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What stands in it.
    #[error("{} is not usable: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        reason: String,
    },
}

/// One key, in each way that signatures are made with it.
#[derive(Debug)]
struct PublicKey(Vec<ParsedPublicKey>);

impl TrustedKeys {
    /// Keys of a PEM file's text.
    pub(super) fn parse(pattern: Option<Pattern>, file: &Path, text: &[u8]) -> Result<TrustedKeys, KeyError> {
        let unusable = |reason: String| KeyError::Unusable {
            path: file.to_owned(),
            reason,
        };
        let mut keys = Vec::new();
        for found in SubjectPublicKeyInfoDer::pem_slice_iter(text) {
            let found = found.map_err(|error| unusable(format!("it is not valid PEM ({error})")))?;
            keys.push(PublicKey::parse(&found).map_err(unusable)?);
        }
        if keys.is_empty() {
            return Err(unusable(no_key(text)));
        }
        Ok(TrustedKeys {
            pattern,
            file: file.to_owned(),
            keys: keys.into(),
        })
    }

    /// Whether they are for what comes from there.
    pub(super) fn are_for(&self, source: &Source) -> bool {
        self.pattern
            .as_ref()
            .is_none_or(|pattern| pattern.matches(source))
    }

    /// Whether the signature of `message` was made by one of them.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let verifies = |key: &ParsedPublicKey| key.verify_sig(message, signature).is_ok();
        self.keys.iter().any(|key| key.0.iter().any(verifies))
    }
}

impl FromStr for TrustedKeys {
    type Err = KeyError;

    /// Reads `FILE` or `PATTERN=FILE`, and that file.
    fn from_str(text: &str) -> Result<TrustedKeys, KeyError> {
        let (pattern, file) = match text.split_once('=') {
            Some((pattern, file)) => (Some(pattern.parse().map_err(KeyError::Pattern)?), file),
            None => (None, text),
        };
        let content = std::fs::read(file).map_err(|source| KeyError::Read {
            path: file.into(),
            source,
        })?;
        TrustedKeys::parse(pattern, Path::new(file), &content)
    }
}

/// The file's name, by which an operator knows them.
impl fmt::Display for TrustedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.display().fmt(f)
    }
}

impl PublicKey {
    fn parse(der: &[u8]) -> Result<PublicKey, String> {
        let ways = ALGORITHMS
            .iter()
            .filter_map(|algorithm| ParsedPublicKey::new(*algorithm, der).ok());
        let ways: Vec<ParsedPublicKey> = ways.collect();
        if ways.is_empty() {
            return Err(
                "its key is of another kind than ECDSA (P-256, P-384, P-521), RSA and Ed25519".to_owned(),
            );
        }
        if let Ok((_, info)) = SubjectPublicKeyInfo::from_der(der)
            && let Ok(Parsed::RSA(rsa)) = info.parsed()
            && rsa.key_size() < SHORTEST_RSA
        {
            return Err(format!(
                "its RSA key has {} bits; {SHORTEST_RSA} are the least",
                rsa.key_size()
            ));
        }
        Ok(PublicKey(ways))
    }
}

fn no_key(text: &[u8]) -> String {
    const FORM: &str = "a public key begins with \"-----BEGIN PUBLIC KEY-----\"";
    let text = String::from_utf8_lossy(text);
    if text.contains("PRIVATE KEY-----") {
        return format!("it holds a private key, which belongs to whoever signs; {FORM}, as in cosign.pub");
    }
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return format!("it holds a certificate; {FORM}, as \"openssl x509 -pubkey -noout\" takes it out");
    }
    format!("it holds no public key; {FORM}")
}

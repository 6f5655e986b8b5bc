//! The options for TLS.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::daemon::TlsOptions;
use crate::manifest::{Address, parse_acme_contact, parse_acme_directory};
use crate::net::KeyPairFiles;

#[derive(Debug, Args)]
pub(super) struct TlsArgs {
    /// Speak TLS at an address, with this certificate and key (PEM), to clients of apps that bring none of their own; may be
    /// repeated
    #[arg(long, value_name = "ADDRESS=CERT,KEY", value_parser = address)]
    tls: Vec<(Address, KeyPairFiles)>,
    /// Where certificates are ordered for apps with `"acme": true` [default: Let's Encrypt, whose terms you agree to by
    /// ordering]
    #[arg(long, value_name = "URL", value_parser = parse_acme_directory)]
    acme_directory: Option<String>,
    /// A mail address that the authority may write to; may be repeated
    #[arg(long, value_name = "MAIL", value_parser = parse_acme_contact)]
    acme_contact: Vec<String>,
    /// Certificates (PEM) to trust when certificates are ordered, besides the system's
    #[arg(long, value_name = "FILE")]
    acme_ca: Option<PathBuf>,
}

impl TlsArgs {
    pub(super) fn options(self) -> TlsOptions {
        TlsOptions {
            // The last one of an address counts, as with other options.
            addresses: HashMap::from_iter(self.tls),
            acme_directory: self.acme_directory,
            acme_contact: self.acme_contact,
            acme_ca: self.acme_ca,
        }
    }
}

pub(super) const PAIR_FORM: &str = "the form is CERT,KEY, such as own.pem,own.key";
const FORM: &str = "the form is ADDRESS=CERT,KEY, such as 0.0.0.0:443=own.pem,own.key";

/// The same text with both paths as `at` gives them.
pub(super) fn located(text: &str, at: impl Fn(&str) -> Result<PathBuf, String>) -> Result<String, String> {
    let (address, files) = text.split_once('=').ok_or(FORM)?;
    Ok(format!("{address}={}", located_pair(files, at)?))
}

/// The same for a certificate and its key alone.
pub(super) fn located_pair(
    files: &str,
    at: impl Fn(&str) -> Result<PathBuf, String>,
) -> Result<String, String> {
    let (certificate, key) = files.split_once(',').ok_or(PAIR_FORM)?;
    let (certificate, key) = (at(certificate)?, at(key)?);
    Ok(format!("{},{}", certificate.display(), key.display()))
}

/// Reads `127.0.0.1:443=own.pem,own.key`; paths are relative to the working directory.
fn address(text: &str) -> Result<(Address, KeyPairFiles), String> {
    let (address, files) = text.split_once('=').ok_or(FORM)?;
    let files = key_pair(files).ok_or(FORM)?;
    let address = Address::parse(address, Path::new("")).map_err(|error| error.to_string())?;
    Ok((address, files))
}

/// Reads `own.pem,own.key`.
pub(super) fn key_pair(text: &str) -> Option<KeyPairFiles> {
    let (certificate, key) = text.split_once(',')?;
    (!certificate.is_empty() && !key.is_empty()).then(|| KeyPairFiles {
        certificate: certificate.into(),
        key: key.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_certificate_and_a_key() {
        let (at, files) = address("[::1]:443=a=b.pem,/k/a.key").unwrap();
        assert_eq!(at.to_string(), "[::1]:443");
        assert_eq!(files.certificate, Path::new("a=b.pem"));
        assert_eq!(files.key, Path::new("/k/a.key"));
        for (text, reason) in [
            ("127.0.0.1:443", "the form is"),
            ("127.0.0.1:443=a.pem", "the form is"),
            ("127.0.0.1:443=a.pem,", "the form is"),
            ("127.0.0.1=a.pem,a.key", "has no port"),
        ] {
            let error = address(text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}

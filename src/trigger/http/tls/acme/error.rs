//! Why there is no certificate.

use std::path::PathBuf;

use crate::net::CertificateError;

/// Why certificates can't be ordered at all.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    #[error("the authorities of --acme-ca can't be used")]
    Trust(#[from] crate::net::TlsError),
}

/// Why an order failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    #[error("{directory} can't be asked, or refused")]
    Directory {
        directory: String,
        source: instant_acme::Error,
    },
    #[error("{directory} offers no challenge {wanted:?} for the name, but {offered}")]
    NotOffered {
        directory: String,
        wanted: &'static str,
        offered: String,
    },
    #[error("{directory} could not see that the name is ours: {reason}")]
    NotOurs { directory: String, reason: String },
    #[error("{directory} did not finish the order in {}", humantime::format_duration(*.limit))]
    TooSlow {
        directory: String,
        limit: std::time::Duration,
    },
    #[error("{directory} gave a certificate that can't be used")]
    Certificate {
        directory: String,
        source: CertificateError,
    },
    #[error(
        "{directory} gave a certificate that would have to be renewed at once; is the clock of this machine right?"
    )]
    Outlived { directory: String },
    #[error("the answer to a challenge can't be made")]
    Answer(#[source] rcgen::Error),
    #[error("the answer to a challenge can't be served")]
    Served(#[from] rustls::Error),
    #[error("{} can't be kept", path.display())]
    Store { path: PathBuf, source: std::io::Error },
}

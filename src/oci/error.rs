//! What can go wrong between a reference and its content.

use std::path::PathBuf;
use std::time::Duration;

use super::digest::Digest;
use super::store::StoreError;
use super::trust::Refusal;
use crate::tasks;

/// The cause below an [`OciError`].
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an artifact could not be resolved or pulled. Says its own layer only; the rest is in `source()`.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// No answer: no such host, refused, timed out, or the connection broke. Worth another try.
    #[error("registry {host} cannot be reached")]
    Unreachable {
        /// Host and port as in the reference.
        host: String,
        /// What the network said.
        source: Cause,
    },
    /// The registry's certificate is not one that this machine trusts.
    #[error("the certificate of registry {host} is not trusted; pass its authority with --registry-ca FILE")]
    Untrusted {
        /// Host and port as in the reference.
        host: String,
        /// What TLS said.
        source: Cause,
    },
    /// The registry wants other credentials.
    #[error("registry {host} refuses access to {what} with {credentials}{detail}")]
    Unauthorised {
        /// Host and port as in the reference.
        host: String,
        /// The repository and what was asked of it.
        what: String,
        /// Which were tried, without the secret: `no credentials (…)` or `user X from FILE`.
        credentials: String,
        /// What the registry said, with its punctuation, or nothing.
        detail: String,
    },
    /// The registry, or the layout, has no such thing.
    #[error("{what} does not exist at {place}{detail}")]
    NotFound {
        /// A tag, a manifest or a blob.
        what: String,
        /// The registry's host or the layout's path.
        place: String,
        /// What the registry said, with its punctuation, or nothing.
        detail: String,
    },
    /// The registry asks to come back later (429, 503), or is failing (5xx).
    #[error("registry {host} is not able to serve {what} now (status {status}){detail}")]
    Busy {
        /// Host and port as in the reference.
        host: String,
        /// What was asked.
        what: String,
        /// The status code.
        status: u16,
        /// How long the registry asked to wait.
        retry_after: Option<Duration>,
        /// What the registry said, with its punctuation, or nothing.
        detail: String,
    },
    /// Any other answer.
    #[error("registry {host} answered {status} to the request for {what}{detail}")]
    Unexpected {
        /// Host and port as in the reference.
        host: String,
        /// What was asked.
        what: String,
        /// The status code.
        status: u16,
        /// What the registry said, with its punctuation, or nothing.
        detail: String,
    },
    /// Content is not what its digest says. Never kept.
    #[error(
        "{what} has the digest {actual} but should have {expected}; it was altered, or the source is damaged"
    )]
    DigestMismatch {
        /// What was fetched, and from where.
        what: String,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// More than a limit allows (see [`Limits`](super::Limits)).
    #[error("{what} is larger than the limit of {limit} {unit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit.
        limit: u64,
        /// What the limit counts.
        unit: &'static str,
    },
    /// The manifest, index or config is not one of an artifact that can run here.
    #[error("{what} is not usable: {reason}")]
    BadManifest {
        /// The reference or digest.
        what: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// An image layout, as a directory or in a tar, is not usable.
    #[error("{} is not a usable OCI image layout: {reason}", path.display())]
    BadLayout {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// An archive layer holds something that is refused, or is damaged.
    #[error("archive layer {layer} is refused: {reason}")]
    BadArchive {
        /// The layer.
        layer: Digest,
        /// Which entry, and why.
        reason: String,
    },
    /// A setting that names a file or a host.
    #[error("{what} is not usable: {reason}")]
    Setting {
        /// The setting and its value.
        what: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// Credentials can't be written to where they are kept, or removed from there.
    #[error("the credentials in {place} can't be changed: {reason}")]
    Credentials {
        /// A file, or a helper and the file that names it.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The content store failed.
    #[error("the content store failed")]
    Store(#[from] StoreError),
    /// A local file could not be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The policy does not let it run.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The work was cancelled because the process is ending.
    #[error("the work was cancelled; the process is stopping")]
    Cancelled,
}

impl OciError {
    /// Whether the same request may succeed in a moment, with nobody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            OciError::Refused(Refusal::Unasked { source, .. }) => source.is_transient(),
            error => matches!(error, OciError::Unreachable { .. } | OciError::Busy { .. }),
        }
    }

    /// How long the registry asked to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            OciError::Busy { retry_after, .. } => *retry_after,
            OciError::Refused(Refusal::Unasked { source, .. }) => source.retry_after(),
            _ => None,
        }
    }
}

/// Runs blocking work away from the async workers.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OciError> + Send + 'static,
) -> Result<T, OciError> {
    tasks::on_disk(work).await
}

//! Why something may not run.

use super::super::digest::Digest;
use super::super::error::OciError;

/// Why the policy refuses an artifact; says what would be right.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Its registry, or a local layout, is not among those that are allowed.
    #[error(
        "reference {reference:?} is refused, since --allow-registry names {allowed} alone; allow it with --allow-registry {remedy}"
    )]
    NotAllowed {
        /// As the user wrote it.
        reference: String,
        /// The patterns, with commas.
        allowed: String,
        /// The narrowest pattern that would allow it.
        remedy: String,
    },
    /// It has no digest.
    #[error("reference {reference:?} is refused, since --require-digest is given and it has none; {remedy}")]
    NotPinned {
        /// As the user wrote it.
        reference: String,
        /// How to write it.
        remedy: String,
    },
    /// There are keys, and none is for it.
    #[error(
        "reference {reference:?} is refused, since no --cosign-key is for it; bind one with --cosign-key {remedy}=FILE"
    )]
    NoKey {
        /// As the user wrote it.
        reference: String,
        /// The narrowest pattern for it.
        remedy: String,
    },
    /// Nobody has signed it.
    #[error(
        "{digest} of {reference:?} is refused, since it has no cosign signature, neither {tag:?} nor a bundle that refers to it; sign it for one of the keys {keys}"
    )]
    Unsigned {
        /// What was to be run.
        digest: Digest,
        /// As the user wrote it.
        reference: String,
        /// The tag of its signatures, if it had one.
        tag: String,
        /// The files of the keys that are for it, with commas.
        keys: String,
    },
    /// It is signed, but not as the policy asks.
    #[error("{digest} of {reference:?} is refused, since none of its cosign signatures is good: {flaws}")]
    BadSignatures {
        /// What was to be run.
        digest: Digest,
        /// As the user wrote it.
        reference: String,
        /// What is wrong with each, the newest first.
        flaws: String,
    },
    /// No signature that is stored is good, and whether there are others is not known.
    #[error(
        "{digest} of {reference:?} is refused: no stored signature is good by the keys {keys}, and others can't be asked for"
    )]
    Unasked {
        /// What was to be run.
        digest: Digest,
        /// As the user wrote it.
        reference: String,
        /// The files of the keys that are for it, with commas.
        keys: String,
        /// Why not.
        source: Box<OciError>,
    },
}

//! What may run: where it comes from, that it is pinned, and who has signed it.
//!
//! [`Puller`](super::Puller) holds the one [`Policy`] and asks it before it speaks to anybody, and again before it gives
//! an [`Artifact`](super::Artifact): what is refused is never loaded, whoever asks and whichever version is meant.
//!
//! Signatures are cosign's, made with keys, in either of its forms: a document under the tag `sha256-<hex>.sig`, or a bundle
//! that refers to the artifact. A good one is kept beside the content and verified anew at each start, with the keys of
//! then, so that a restart needs no registry.

mod bundle;
mod check;
mod kept;
mod key;
mod pattern;
mod payload;
mod place;
mod refusal;
mod signature;

pub(super) use check::check;
pub use key::{KeyError, TrustedKeys};
pub use pattern::{Pattern, PatternError};
pub use refusal::Refusal;

use std::path::Path;

use super::digest::Digest;
use super::reference::{Reference, Source};
use signature::Signature;

/// What may run. The default admits everything.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Where artifacts may come from; empty: from anywhere.
    pub allowed: Vec<Pattern>,
    /// References need a digest.
    pub require_digest: bool,
    /// Who has to have signed, one of those that are for the artifact; empty: nobody.
    pub keys: Vec<TrustedKeys>,
    /// Repositories that signatures may be for, besides the one that an artifact comes from.
    pub identities: Vec<Pattern>,
}

impl Policy {
    /// Whether a reference may be asked for at all; signatures are a matter of its content.
    ///
    /// # Errors
    /// Why not, and what to change.
    pub fn admit(&self, source: &Source) -> Result<(), Refusal> {
        let reference = source.to_string();
        if !self.allowed.is_empty() && !self.allowed.iter().any(|pattern| pattern.matches(source)) {
            return Err(Refusal::NotAllowed {
                reference,
                allowed: list(&self.allowed),
                remedy: narrowest(source),
            });
        }
        if self.require_digest && !source.is_pinned() {
            let remedy = match source {
                Source::Registry(_) => {
                    format!("write it as \"{}@sha256:DIGEST\"", narrowest(source))
                }
                _ => "a layout can't have one: push it to a registry".to_owned(),
            };
            return Err(Refusal::NotPinned { reference, remedy });
        }
        if !self.keys.is_empty() && self.keys_for(source).next().is_none() {
            return Err(Refusal::NoKey {
                reference,
                remedy: narrowest(source),
            });
        }
        Ok(())
    }

    fn keys_for(&self, source: &Source) -> impl Iterator<Item = &TrustedKeys> {
        self.keys.iter().filter(|keys| keys.are_for(source))
    }

    /// The files of the keys that are for it.
    fn files_for(&self, source: &Source) -> String {
        list(self.keys_for(source))
    }

    /// The file of the key by which `digest` is signed as it should be.
    ///
    /// # Errors
    /// What is wrong with the signature, in words.
    fn judge(&self, source: &Source, digest: &Digest, signature: &Signature) -> Result<String, String> {
        // Nothing is read of a document before it is known who wrote it.
        let signer = self
            .keys_for(source)
            .find(|keys| keys.verify(&signature.signed(), &signature.signature));
        let Some(signer) = signer else {
            return Err(format!(
                "one is not by any of the keys {}",
                self.files_for(source)
            ));
        };
        let claim = payload::read(signature).map_err(|flaw| format!("the payload of one {flaw}"))?;
        if !claim.digests.contains(digest) {
            return Err(format!("one is for another artifact, {}", list(&claim.digests)));
        }
        let Some(name) = claim.name else {
            return Ok(signer.to_string());
        };
        let Ok(Source::Registry(named)) = Source::parse(&name, Path::new("")) else {
            return Err(format!("one is for {:?}, which is no repository", name));
        };
        if !is_from(source, &named)
            && !self
                .identities
                .iter()
                .any(|pattern| pattern.matches_repository(&named))
        {
            return Err(format!(
                "one is for another repository, allow it with --cosign-identity {}",
                repository(&named)
            ));
        }
        Ok(signer.to_string())
    }
}

fn is_from(source: &Source, named: &Reference) -> bool {
    match source {
        Source::Registry(own) => repository(own) == repository(named),
        Source::Layout { .. } | Source::Archive { .. } => false,
    }
}

/// The narrowest pattern that means it.
fn narrowest(source: &Source) -> String {
    match source {
        Source::Registry(reference) => repository(reference),
        Source::Layout { .. } => "oci:".to_owned(),
        Source::Archive { .. } => "oci-archive:".to_owned(),
    }
}

fn repository(reference: &Reference) -> String {
    format!(
        "{}/{}",
        reference.host().to_ascii_lowercase(),
        reference.repository()
    )
}

fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}

#[cfg(test)]
mod tests;

//! Whether an artifact is signed, asking as few as possible.

use std::sync::Arc;

use super::super::digest::Digest;
use super::super::error::{OciError, blocking};
use super::super::origin::Origin;
use super::place::{Place, tag};
use super::signature::Signature;
use super::{Policy, Refusal, kept};

/// Flaws that are told; signatures by the dozen have few kinds of them.
const MOST_FLAWS: usize = 5;

/// Looks for a good signature of `digest`: among those that are kept, without a network, then beside the artifact.
///
/// # Errors
/// [`OciError::Refused`] when there is none; [`OciError::Store`] when one can't be kept.
pub(in super::super) async fn check(
    policy: &Arc<Policy>,
    origin: &Origin<'_>,
    digest: &Digest,
) -> Result<(), OciError> {
    if policy.keys.is_empty() || is_kept(policy, origin, digest).await? {
        return Ok(());
    }
    let signature = search(policy, origin, digest).await?;
    let (store, digest) = (origin.store.clone(), *digest);
    blocking(move || Ok(kept::add(&store, &digest, signature)?)).await
}

async fn is_kept(policy: &Arc<Policy>, origin: &Origin<'_>, digest: &Digest) -> Result<bool, OciError> {
    let (policy, store) = (Arc::clone(policy), origin.store.clone());
    let (source, digest) = (origin.source.clone(), *digest);
    blocking(move || {
        let kept = kept::read(&store, &digest);
        let good = kept
            .iter()
            .find_map(|signature| policy.judge(&source, &digest, signature).ok());
        if let Some(key) = &good {
            tracing::debug!(reference = %source, %digest, key, "a stored signature is good");
        }
        Ok(good.is_some())
    })
    .await
}

/// The newest good one beside the artifact.
async fn search(policy: &Arc<Policy>, origin: &Origin<'_>, digest: &Digest) -> Result<Signature, OciError> {
    let (source, digest) = (origin.source, *digest);
    let unasked = |error: OciError| Refusal::Unasked {
        digest,
        reference: source.to_string(),
        keys: policy.files_for(source),
        source: Box::new(error),
    };
    let mut flaws: Vec<String> = Vec::new();
    for place in Place::ALL {
        for candidate in place.list(origin, &digest).await.map_err(unasked)? {
            let Some(fetched) = candidate.fetch(origin).await.map_err(unasked)?.transpose() else {
                continue;
            };
            let (by, to) = (Arc::clone(policy), source.clone());
            let judge = move |signature: Signature| {
                let key = by.judge(&to, &digest, &signature)?;
                Ok::<_, String>((key, signature))
            };
            match blocking(move || Ok(fetched.and_then(judge))).await? {
                Ok((key, signature)) => {
                    tracing::info!(reference = %source, %digest, key, "signature verified");
                    return Ok(signature);
                }
                Err(flaw) if flaws.contains(&flaw) => {}
                Err(flaw) => flaws.push(flaw),
            }
        }
    }
    let reference = source.to_string();
    if flaws.is_empty() {
        return Err(OciError::from(Refusal::Unsigned {
            digest,
            reference,
            tag: tag(&digest),
            keys: policy.files_for(source),
        }));
    }
    flaws.truncate(MOST_FLAWS);
    Err(OciError::from(Refusal::BadSignatures {
        digest,
        reference,
        flaws: flaws.join("; "),
    }))
}

//! Where signatures are: beside the artifact, by a tag or as what refers to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::io::Read as _;

use super::super::digest::Digest;
use super::super::error::{OciError, blocking};
use super::super::manifest::{Descriptor, Index};
use super::super::origin::Origin;
use super::super::progress::ProgressItem;
use super::bundle;
use super::signature::{Form, Signature};

/// A layer that is a signed document.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The signature of a layer's bytes, in base64.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// How many are looked at in each place, the newest first: signing again adds one.
const MOST: usize = 256;
/// Bytes of a document or bundle; of a manifest of one. What cosign writes has a few thousand.
const LONGEST: u64 = 256 * 1024;

/// A place to look in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// The tag `sha256-<hex>.sig`: a manifest with a layer for each signature.
    Tag,
    /// What refers to the artifact: a manifest for each bundle.
    Referrers,
}

/// A signature that is yet to be fetched.
pub(super) enum Candidate {
    Layer(Descriptor),
    Bundle(Descriptor),
}

/// Only what is needed: one document may be signed by several, so that layers are repeated.
#[derive(Deserialize)]
struct Layers {
    layers: Vec<Descriptor>,
}

/// The tag of an artifact's signatures.
pub(super) fn tag(digest: &Digest) -> String {
    format!("sha256-{}.sig", digest.hex())
}

impl Place {
    pub(super) const ALL: [Place; 2] = [Place::Tag, Place::Referrers];

    /// What is there, the newest first.
    pub(super) async fn list(self, origin: &Origin<'_>, digest: &Digest) -> Result<Vec<Candidate>, OciError> {
        let (bytes, what) = match self {
            Place::Tag => (origin.attached(&tag(digest)).await?, tag(digest)),
            Place::Referrers => {
                let found = origin.referrers(digest, bundle::BUNDLE).await?;
                (found, format!("the list of what refers to {digest}"))
            }
        };
        let Some(bytes) = bytes else {
            return Ok(Vec::new());
        };
        let listed = match self {
            Place::Tag => serde_json::from_slice(&bytes).map(|Layers { layers }| layers),
            Place::Referrers => serde_json::from_slice(&bytes).map(|Index { manifests }| manifests),
        };
        let listed = listed.map_err(|error| OciError::BadManifest {
            what,
            reason: format!("it lists no signatures ({error})"),
        })?;
        let candidates = listed.into_iter().rev().filter_map(|entry| match self {
            Place::Tag => (entry.media_type == SIMPLE_SIGNING).then_some(Candidate::Layer(entry)),
            Place::Referrers => entry
                .may_refer_as(bundle::BUNDLE)
                .then_some(Candidate::Bundle(entry)),
        });
        Ok(candidates.take(MOST).collect())
    }
}

impl Candidate {
    /// `None`: it is no signature after all.
    ///
    /// # Errors
    /// Outside: it can't be asked for now. Inside: what is wrong with it, in words.
    pub(super) async fn fetch(
        &self,
        origin: &Origin<'_>,
    ) -> Result<Result<Option<Signature>, String>, OciError> {
        let fetched = match self {
            Candidate::Layer(layer) => fetch(origin, layer)
                .await
                .map(|payload| simple(layer, payload).map(Some)),
            Candidate::Bundle(entry) => bundle(origin, entry).await,
        };
        match fetched {
            Err(error) if error.is_transient() => Err(error),
            Err(error) => Ok(Err(format!("one can't be had ({error})"))),
            Ok(signature) => Ok(signature),
        }
    }
}

fn simple(layer: &Descriptor, payload: Vec<u8>) -> Result<Signature, String> {
    let signature = layer
        .annotation(SIGNATURE)
        .map(|text| STANDARD.decode(text.trim()));
    match signature {
        Some(Ok(signature)) => Ok(Signature {
            form: Form::SimpleSigning,
            payload,
            signature,
        }),
        _ => Err(format!("one has no {SIGNATURE:?} in base64")),
    }
}

/// `None`: what refers to the artifact is something else, such as a list of what is in it.
async fn bundle(
    origin: &Origin<'_>,
    entry: &Descriptor,
) -> Result<Result<Option<Signature>, String>, OciError> {
    // In the store it is nobody's, and pruned when room is needed.
    let manifest = origin.manifest(&entry.digest).await?;
    let Ok(Layers { layers }) = serde_json::from_slice(&manifest) else {
        return Ok(Err("one is no manifest of a bundle".to_owned()));
    };
    match layers.iter().find(|layer| layer.media_type == bundle::BUNDLE) {
        Some(layer) => Ok(bundle::read(&fetch(origin, layer).await?).map(Some)),
        None => Ok(Ok(None)),
    }
}

async fn fetch(origin: &Origin<'_>, blob: &Descriptor) -> Result<Vec<u8>, OciError> {
    if blob.size > LONGEST {
        return Err(OciError::TooLarge {
            what: format!("blob {}", blob.digest),
            limit: LONGEST,
            unit: "bytes",
        });
    }
    let verified = origin.blob(blob, &Untold).await?;
    blocking(move || {
        let mut bytes = Vec::new();
        let read = verified.into_file()?.read_to_end(&mut bytes);
        read.map_err(|source| OciError::Read {
            path: "a temporary file".into(),
            source,
        })?;
        Ok(bytes)
    })
    .await
}

/// Nobody waits for a few thousand bytes.
struct Untold;

impl ProgressItem for Untold {
    fn advance(&self, _: u64) {}

    fn retract(&self, _: u64) {}

    fn finish(self: Box<Self>) {}
}

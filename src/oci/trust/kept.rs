//! Good signatures, kept beside the content that they are for: a file of the store for each artifact, whose name is the
//! artifact's digest, so that what pins the artifact pins its signatures.
//!
//! They are no verdict. Each start verifies them with its own keys, so that the file may be anybody's.

use super::super::digest::Digest;
use super::super::store::{Store, StoreError, touch};
use super::signature::Signature;

/// Signatures of one artifact; each change of keys may add one.
const MOST: usize = 16;

/// Those of an artifact, the newest first. A file that can't be read holds none: the registry is asked again.
pub(super) fn read(store: &Store, digest: &Digest) -> Vec<Signature> {
    let path = store.signatures(digest);
    let Ok(text) = std::fs::read(&path) else {
        return Vec::new();
    };
    touch(&path);
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(path = %path.display(), %error, "stored signatures are damaged");
        Vec::new()
    })
}

/// Adds one.
pub(super) fn add(store: &Store, digest: &Digest, signature: Signature) -> Result<(), StoreError> {
    let mut all = read(store, digest);
    all.insert(0, signature);
    all.truncate(MOST);
    let path = store.signatures(digest);
    let text = serde_json::to_vec(&all)
        .map_err(|error| StoreError::io("write", &path)(std::io::Error::other(error)))?;
    store.write_whole(&path, &text)
}

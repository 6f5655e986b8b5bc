//! An artifact that is in the store as a whole, found in one look.

use super::digest::Digest;
use super::fetch::{is_locked_app, present};
use super::manifest::{self, Descriptor, Image, Manifest};
use super::pull::{AppConfig, INDEX_DEPTH};
use super::store::Store;

/// What is there.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) image: Image,
    pub(crate) content: WholeContent,
    /// As [`Artifact::blobs`](super::pull::Artifact::blobs).
    pub(crate) blobs: Vec<Digest>,
}

#[derive(Debug)]
pub(crate) enum WholeContent {
    Locked { digest: Digest, json: Vec<u8> },
    PlainWasm { digest: Digest },
}

impl Whole {
    /// Looks for all that `digest` needs, and marks it as used. Blocks on the disk. `None`: something is missing, or is not as it
    /// should be; those who fetch it find out what, and say so.
    pub(crate) fn find(store: &Store, digest: &Digest) -> Option<Self> {
        let mut blobs = Vec::new();
        let image = image(store, digest, &mut blobs)?;
        let locked = image.locked_app();
        let config = locked.is_none().then_some(&image.config);
        for blob in image.layers.iter().chain(config) {
            blobs.extend(present(store, blob)?);
        }
        blobs.sort_unstable();
        blobs.dedup();
        let content = content(store, &image)?;
        Some(Self {
            content,
            image,
            blobs,
        })
    }

    /// `name` is for an app that is made up.
    pub(crate) fn config(&self, name: String) -> AppConfig {
        match &self.content {
            WholeContent::Locked { digest, json } => AppConfig::Locked {
                digest: *digest,
                json: json.clone(),
            },
            WholeContent::PlainWasm { digest } => AppConfig::PlainWasm {
                digest: *digest,
                name,
            },
        }
    }
}

fn image(store: &Store, digest: &Digest, blobs: &mut Vec<Digest>) -> Option<Image> {
    let mut digest = *digest;
    for _ in 0..=INDEX_DEPTH {
        let bytes = store.read(&digest).ok()??;
        blobs.push(digest);
        // The name is for errors, which nobody sees.
        match Manifest::parse(&bytes, "").ok()? {
            Manifest::Image(image) => return Some(image),
            Manifest::Index(index) => digest = index.choose("").ok()?.digest,
        }
    }
    None
}

fn content(store: &Store, image: &Image) -> Option<WholeContent> {
    let config: &Descriptor = image.locked_app().unwrap_or(&image.config);
    let json = store.read(&config.digest).ok()??;
    if is_locked_app(&json) {
        let digest = config.digest;
        return Some(WholeContent::Locked { digest, json });
    }
    match image.layers.as_slice() {
        [only] if manifest::WASM.contains(&only.media_type.as_str()) => {
            Some(WholeContent::PlainWasm { digest: only.digest })
        }
        _ => None,
    }
}

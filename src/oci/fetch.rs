//! One artifact's blobs: which are missing, fetching those, and what they say about the app.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::digest::Digest;
use super::error::{OciError, blocking};
use super::manifest::{self, Descriptor, Image};
use super::origin::Origin;
use super::progress::{Progress, ProgressItem};
use super::pull::{AppConfig, FetchCounts};
use super::store::{Store, StoreError};
use super::unpack;

/// Blobs fetched at once for one artifact, as Spin does.
const PARALLEL_BLOBS: usize = 16;
/// How every Wasm binary begins.
const WASM_MAGIC: &[u8] = b"\0asm";

/// Blobs being fetched by this process: who comes second waits and finds the blob in the store.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>);

impl InFlight {
    /// The lock of one blob's fetch.
    fn lock_of(&self, digest: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(digest).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        locks.insert(*digest, Arc::downgrade(&lock));
        lock
    }
}

/// One pull, once its manifest is known.
pub(crate) struct Pull<'a> {
    pub(crate) in_flight: &'a InFlight,
    pub(crate) counts: &'a FetchCounts,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) origin: &'a Origin<'a>,
    pub(crate) image: &'a Image,
}

/// Whether some JSON is a locked app, at which nothing else is looked here.
#[derive(Deserialize)]
struct LockVersion {
    spin_lock_version: Option<IgnoredAny>,
}

impl Pull<'_> {
    /// Fetches what is missing and says what the app is; what it needs joins `blobs`.
    pub(crate) async fn run(&self, blobs: &mut Vec<Digest>) -> Result<AppConfig, OciError> {
        let image = self.image;
        let locked = image.locked_app();
        let mut wanted: Vec<Descriptor> = image.layers.clone();
        if locked.is_none() {
            wanted.push(image.config.clone());
            // Nothing large is fetched of an image that is no app at all.
            if image.config.media_type != manifest::LOCKED_APP && image.layers.len() != 1 {
                self.fetch(std::slice::from_ref(&image.config), blobs).await?;
                if !is_locked_app(&self.bytes(&image.config).await?) {
                    return Err(self.not_an_app(format!(
                        "expected a Spin app or a single layer in an OCI package, found {} layers",
                        image.layers.len()
                    )));
                }
            }
        }
        self.fetch(&wanted, blobs).await?;
        blobs.sort_unstable();
        blobs.dedup();

        let config = locked.unwrap_or(&image.config);
        let bytes = self.bytes(config).await?;
        if is_locked_app(&bytes) {
            return Ok(AppConfig::Locked {
                digest: config.digest,
                json: bytes,
            });
        }
        match image.layers.as_slice() {
            [only] if locked.is_none() && self.is_wasm(only).await? => Ok(AppConfig::PlainWasm {
                digest: only.digest,
                name: self.origin.source.name(),
            }),
            [only] if locked.is_none() => Err(self.not_an_app(format!(
                "its only layer has the type {:?} and is not Wasm; expected a Spin app or a Wasm package",
                only.media_type
            ))),
            _ => Err(self.not_an_app("its configuration has no \"spin_lock_version\"".to_owned())),
        }
    }

    fn not_an_app(&self, reason: String) -> OciError {
        OciError::BadManifest {
            what: self.origin.source.to_string(),
            reason,
        }
    }

    /// Brings `wanted` into the store; what they became there joins `blobs`.
    async fn fetch(&self, wanted: &[Descriptor], blobs: &mut Vec<Digest>) -> Result<(), OciError> {
        let (store, candidates) = (self.origin.store.clone(), wanted.to_vec());
        let missing = blocking(move || {
            Ok(candidates
                .into_iter()
                .filter(|blob| present(&store, blob).is_none())
                .collect::<Vec<_>>())
        })
        .await?;
        if !missing.is_empty() {
            let total = missing.iter().map(|blob| blob.size).sum();
            let item = self.progress.start(&self.origin.source.to_string(), Some(total));
            let fetching = futures::stream::iter(missing)
                .map(|blob| self.fetch_one(blob, &*item))
                .buffer_unordered(PARALLEL_BLOBS)
                .try_collect::<()>();
            Box::pin(fetching).await?;
            item.finish();
        }
        let (store, wanted) = (self.origin.store.clone(), wanted.to_vec());
        let found = blocking(move || {
            Ok(wanted
                .iter()
                .flat_map(|blob| present(&store, blob).unwrap_or_default())
                .collect::<Vec<_>>())
        });
        blobs.extend(found.await?);
        Ok(())
    }

    async fn fetch_one(&self, blob: Descriptor, progress: &dyn ProgressItem) -> Result<(), OciError> {
        let lock = self.in_flight.lock_of(&blob.digest);
        let _fetching = lock.lock().await;
        let (store, wanted) = (self.origin.store.clone(), blob.clone());
        if blocking(move || Ok(present(&store, &wanted).is_some())).await? {
            progress.advance(blob.size);
            return Ok(());
        }
        let verified = self.origin.blob(&blob, progress).await?;
        self.counts.blobs.inc();
        self.counts.bytes.inc_by(blob.size);
        let (store, limits) = (self.origin.store.clone(), self.origin.limits.clone());
        blocking(move || {
            if blob.media_type == manifest::ARCHIVE {
                unpack::unpack(&store, &blob.digest, verified.into_file()?, &limits)?;
            } else {
                verified.commit()?;
            }
            Ok(())
        })
        .await
    }

    /// The bytes of a fetched blob. One that the disk has damaged since is fetched again, once.
    async fn bytes(&self, blob: &Descriptor) -> Result<Vec<u8>, OciError> {
        let read = || {
            let (store, digest) = (self.origin.store.clone(), blob.digest);
            blocking(move || Ok(store.read(&digest)?))
        };
        match read().await {
            Ok(Some(bytes)) => return Ok(bytes),
            Ok(None) | Err(OciError::Store(StoreError::Mismatch { .. })) => {}
            Err(error) => return Err(error),
        }
        self.fetch(std::slice::from_ref(blob), &mut Vec::new()).await?;
        let bytes = read().await?;
        bytes.ok_or_else(|| {
            self.not_an_app(format!(
                "its configuration {} vanished from the store",
                blob.digest
            ))
        })
    }

    async fn is_wasm(&self, layer: &Descriptor) -> Result<bool, OciError> {
        if manifest::WASM.contains(&layer.media_type.as_str()) {
            return Ok(true);
        }
        let path = self.origin.store.path(&layer.digest);
        blocking(move || {
            let mut magic = [0; WASM_MAGIC.len()];
            let read = std::fs::File::open(&path)
                .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut magic));
            Ok(read.is_ok() && magic == WASM_MAGIC)
        })
        .await
    }
}

/// What the blob is in the store, if it is there whole: itself, or an archive's list and files. Marks it as used.
pub(crate) fn present(store: &Store, blob: &Descriptor) -> Option<Vec<Digest>> {
    if blob.media_type == manifest::ARCHIVE {
        let mut all = unpack::unpacked(store, &blob.digest)?;
        all.push(blob.digest);
        return Some(all);
    }
    if !store.contains(&blob.digest, Some(blob.size)) {
        return None;
    }
    store.touch(&blob.digest);
    Some(vec![blob.digest])
}

pub(crate) fn is_locked_app(bytes: &[u8]) -> bool {
    serde_json::from_slice::<LockVersion>(bytes).is_ok_and(|config| config.spin_lock_version.is_some())
}

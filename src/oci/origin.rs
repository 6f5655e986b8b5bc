//! One artifact's source while it is pulled: a registry's repository or a local layout, asked in the same way.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::client::Client;
use super::digest::Digest;
use super::error::{OciError, blocking};
use super::layout::Layout;
use super::limits::Limits;
use super::manifest::Descriptor;
use super::progress::ProgressItem;
use super::reference::{Reference, Source};
use super::store::{BlobWriter, Store, StoreError, Verified};

#[derive(Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) source: &'a Source,
    pub(crate) client: &'a Client,
    pub(crate) store: &'a Store,
    pub(crate) limits: &'a Limits,
    /// Opened when it is first needed: a layout may be gone when all of it is in the store.
    layout: OnceCell<Arc<Layout>>,
}

impl<'a> Origin<'a> {
    pub(crate) fn new(
        source: &'a Source,
        client: &'a Client,
        store: &'a Store,
        limits: &'a Limits,
    ) -> Origin<'a> {
        Origin {
            source,
            client,
            store,
            limits,
            layout: OnceCell::new(),
        }
    }

    /// What the source means now. A manifest that had to be read to find out is in the store afterwards.
    pub(crate) async fn resolve(&self) -> Result<Digest, OciError> {
        if let Some(digest) = self.source.digest() {
            return Ok(digest);
        }
        let tag = match self.source {
            Source::Registry(reference) => return self.resolve_tag(reference).await,
            Source::Layout { tag, .. } | Source::Archive { tag, .. } => tag.clone(),
        };
        let (source, store, limits) = (self.source.clone(), self.store.clone(), self.limits.clone());
        blocking(move || Layout::open(&source, &store, &limits)?.resolve(tag.as_deref(), &limits)).await
    }

    async fn resolve_tag(&self, reference: &Reference) -> Result<Digest, OciError> {
        let tag = reference.tag().unwrap_or("latest");
        match Box::pin(self.client.head(reference, tag)).await {
            // Known already: registries do not count a HEAD against their limits, and nothing is fetched twice.
            Ok(Some(digest)) if self.has_manifest(&digest).await? => return Ok(digest),
            // A HEAD's answer has no body to explain it: the GET below says it better.
            Ok(_) | Err(OciError::NotFound { .. } | OciError::Unexpected { .. }) => {}
            Err(error) => return Err(error),
        }
        let bytes = Box::pin(self.client.manifest(reference, tag, self.limits.manifest)).await?;
        let store = self.store.clone();
        blocking(move || Ok(store.put(&bytes)?)).await
    }

    /// The manifest of what belongs to an artifact, by the tag that says so; `None`: there is nothing. Not verified, and
    /// not in the store afterwards.
    pub(crate) async fn attached(&self, tag: &str) -> Result<Option<Vec<u8>>, OciError> {
        let limit = self.limits.manifest;
        if let Source::Registry(reference) = self.source {
            return match Box::pin(self.client.manifest(reference, tag, limit)).await {
                Ok(bytes) => Ok(Some(bytes)),
                Err(OciError::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            };
        }
        let (layout, limits, tag) = (self.layout().await?, self.limits.clone(), tag.to_owned());
        blocking(move || {
            let attached = layout.attached(&tag, &limits)?;
            attached.map(|digest| layout.manifest(&digest, limit)).transpose()
        })
        .await
    }

    /// The index of the manifests of that type that refer to `digest`; `None`: there is none, as in every layout.
    pub(crate) async fn referrers(&self, digest: &Digest, kind: &str) -> Result<Option<Vec<u8>>, OciError> {
        match self.source {
            Source::Registry(reference) => {
                Box::pin(
                    self.client
                        .referrers(reference, digest, kind, self.limits.manifest),
                )
                .await
            }
            Source::Layout { .. } | Source::Archive { .. } => Ok(None),
        }
    }

    async fn has_manifest(&self, digest: &Digest) -> Result<bool, OciError> {
        let (store, digest) = (self.store.clone(), *digest);
        blocking(move || Ok(matches!(store.read(&digest), Ok(Some(_))))).await
    }

    /// The verified bytes of a manifest, from the store if it has them; they are in it afterwards.
    pub(crate) async fn manifest(&self, digest: &Digest) -> Result<Vec<u8>, OciError> {
        let (store, wanted) = (self.store.clone(), *digest);
        let stored = blocking(move || match store.read(&wanted) {
            Ok(stored) => Ok(stored),
            Err(StoreError::Mismatch { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        });
        if let Some(bytes) = stored.await? {
            return Ok(bytes);
        }
        let bytes = match self.source {
            Source::Registry(reference) => {
                let digest = digest.to_string();
                Box::pin(self.client.manifest(reference, &digest, self.limits.manifest)).await?
            }
            _ => {
                let (layout, limit) = (self.layout().await?, self.limits.manifest);
                blocking(move || layout.manifest(&wanted, limit)).await?
            }
        };
        let actual = Digest::of(&bytes);
        if actual != *digest {
            return Err(self.mismatch("the manifest", *digest, actual));
        }
        let store = self.store.clone();
        blocking(move || store.put(&bytes).map(|_| bytes).map_err(OciError::from)).await
    }

    /// Fetches a blob, verified but not yet in the store.
    pub(crate) async fn blob(
        &self,
        blob: &Descriptor,
        progress: &dyn ProgressItem,
    ) -> Result<Verified, OciError> {
        let store = self.store.clone();
        let size = blob.size;
        let mut writer: BlobWriter = blocking(move || Ok(store.writer(size)?)).await?;
        match self.source {
            Source::Registry(reference) => {
                writer = self.client.blob(reference, blob, writer, progress).await?
            }
            _ => {
                let (layout, wanted) = (self.layout().await?, blob.clone());
                writer = blocking(move || layout.blob(&wanted, &mut writer).map(|()| writer)).await?;
                progress.advance(writer.written());
            }
        }
        writer.finish(&blob.digest).map_err(|error| match error {
            StoreError::Mismatch { expected, actual } => {
                self.mismatch(&format!("blob {}", blob.digest), expected, actual)
            }
            other => OciError::Store(other),
        })
    }

    fn mismatch(&self, what: &str, expected: Digest, actual: Digest) -> OciError {
        OciError::DigestMismatch {
            what: format!("{what} of {}", self.source),
            expected,
            actual,
        }
    }

    async fn layout(&self) -> Result<Arc<Layout>, OciError> {
        let open = || async {
            let (source, store, limits) = (self.source.clone(), self.store.clone(), self.limits.clone());
            blocking(move || Layout::open(&source, &store, &limits).map(Arc::new)).await
        };
        self.layout.get_or_try_init(open).await.cloned()
    }
}

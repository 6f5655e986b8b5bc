//! One artifact into the cache; the cache itself.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{ArtifactSettings, blocking};
use crate::loader;
use crate::oci::{Damage, Digest, Progress, Pruned, Source, Usage};

/// How long somebody who adds content is waited for, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// Fetches what a reference means now, and gives its digest. Relative paths in it are relative to the working directory.
///
/// # Errors
/// It is no reference, or can't be had.
pub async fn pull(
    reference: &str,
    settings: &ArtifactSettings,
    progress: Arc<dyn Progress>,
) -> Result<Digest> {
    let source = Source::parse(reference, Path::new(""))?;
    let puller = settings.puller(settings.store()?, progress)?;
    let digest = puller.resolve(&source).await?;
    puller.pull(&source, &digest).await?;
    Ok(digest)
}

/// What the cache holds.
///
/// # Errors
/// It can't be read.
pub async fn usage(settings: &ArtifactSettings) -> Result<Usage> {
    let store = settings.store()?;
    Ok(blocking(move || store.usage()).await?)
}

/// Removes what was used least recently until the cache holds at most `limit` bytes, or nothing but what apps need.
///
/// # Errors
/// It can't be read, or content is being added all the time.
pub async fn prune(settings: &ArtifactSettings, limit: u64) -> Result<Pruned> {
    let store = settings.store()?;
    let begun = Instant::now();
    loop {
        let once = store.clone();
        let pruned = blocking(move || once.prune(limit)).await?;
        if !pruned.busy {
            return Ok(pruned);
        }
        if begun.elapsed() > PATIENCE {
            bail!("content is being added to the cache by another process: try again later");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Hashes everything in the cache, and removes what is damaged. `progress` is told.
///
/// # Errors
/// It can't be read.
pub async fn verify(settings: &ArtifactSettings, progress: Arc<dyn Progress>) -> Result<Vec<Damage>> {
    let store = settings.store()?;
    let hashing = move || {
        let total = store.usage()?.bytes;
        let item = progress.start("the cache", Some(total));
        let mut each = |bytes| item.advance(bytes);
        let mut found = store.verify(&mut each)?;
        found.extend(loader::verify(&store, &mut each)?);
        item.finish();
        anyhow::Ok(found)
    };
    blocking(hashing).await
}

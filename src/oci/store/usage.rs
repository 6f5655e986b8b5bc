//! What the store holds, for people.

use super::prune::AREAS;
use super::{Store, StoreError};

/// Everything in the store.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    pub areas: Vec<AreaUsage>,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes of what running and last good versions need, which pruning leaves alone.
    pub pinned: u64,
}

/// One kind of content. What several kinds share is counted with the first.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AreaUsage {
    /// Its directory below the store's root.
    pub directory: &'static str,
    pub entries: usize,
    /// Bytes on disk.
    pub bytes: u64,
}

impl Store {
    /// Adds up what there is.
    ///
    /// # Errors
    /// When the pins or a directory can't be read.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        // Against a prune between the two looks.
        let _lease = self.lease()?;
        let (entries, pinned) = (self.entries()?, self.pinned()?);
        let area = |directory: &'static str| {
            let of_area = entries.iter().filter(|entry| entry.path.starts_with(directory));
            let (count, bytes) =
                of_area.fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.bytes));
            AreaUsage {
                directory,
                entries: count,
                bytes,
            }
        };
        let kept = entries.iter().filter(|entry| pinned.protects(&entry.path));
        Ok(Usage {
            areas: AREAS.map(area).into(),
            bytes: entries.iter().map(|entry| entry.bytes).sum(),
            pinned: kept.map(|entry| entry.bytes).sum(),
        })
    }
}

//! What every backing store can do, in the terms of the newest interfaces.

use std::collections::HashSet;

use async_trait::async_trait;
use futures::TryStreamExt;
use futures::stream::BoxStream;

use crate::host::limits::{MAX_BUFFERED, TOO_LARGE};

/// Bytes that a key costs in a list, beside its own.
const KEY_OVERHEAD: usize = size_of::<String>();

/// Why a store did not do what it was asked, in words for the guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct StoreError(pub(super) String);

impl StoreError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn too_large() -> Self {
        Self::new(TOO_LARGE)
    }

    /// An increment of something that is not a number as this store keeps it.
    pub(super) fn not_a_counter(key: &str, expected: &str) -> Self {
        Self(format!("the value of {key:?} can't be incremented: {expected}"))
    }
}

/// What a key must hold for a swap to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    Anything,
    /// Exactly this; `None` is a key that is missing.
    Value(Option<Vec<u8>>),
}

/// How a swap ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Swap {
    Done,
    /// Nothing was written; the key held this in the same moment.
    Changed(Option<Vec<u8>>),
}

/// The keys of a store, in pages.
pub(super) type KeyPages = BoxStream<'static, Result<Vec<String>, StoreError>>;

/// One label of one app. Each method is atomic for itself, the ones over many keys where the backend can.
///
/// A future that is dropped may have done its work or not.
#[async_trait]
pub(super) trait Store: Send + Sync {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;
    async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError>;
    /// A missing key is no error.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;
    async fn exists(&self, key: &str) -> Result<bool, StoreError>;
    /// Keys that are there all the while come once each; one that is set or deleted meanwhile may come or not.
    fn keys(&self) -> KeyPages;

    /// One element for each of `keys`, in their order.
    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<(String, Option<Vec<u8>>)>, StoreError>;
    /// Of a key that is given twice, the last value stays.
    async fn set_many(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), StoreError>;
    async fn delete_many(&self, keys: Vec<String>) -> Result<(), StoreError>;

    /// Adds to a number, a missing one being 0, and gives its new value.
    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError>;
    async fn swap(&self, key: &str, expected: Expected, value: Vec<u8>) -> Result<Swap, StoreError>;
}

/// All pages in one list, as far as one result may be large.
pub(super) async fn all_keys(pages: KeyPages) -> Result<Vec<String>, StoreError> {
    let mut budget = Budget::default();
    pages
        .try_fold(Vec::new(), |mut all, page| {
            let fits = page
                .iter()
                .try_for_each(|key| budget.take(key.len() + KEY_OVERHEAD));
            futures::future::ready(fits.map(|()| {
                all.extend(page);
                all
            }))
        })
        .await
}

/// Keys that came before, for backends that may show one twice. They are held in memory, so they are limited.
#[derive(Default)]
pub(super) struct Seen {
    keys: HashSet<String>,
    budget: Budget,
}

impl Seen {
    /// Leaves out what was seen before.
    pub(super) fn only_new(&mut self, keys: Vec<String>) -> Result<Vec<String>, StoreError> {
        let mut new = Vec::with_capacity(keys.len());
        for key in keys {
            if self.keys.insert(key.clone()) {
                self.budget.take(key.len() + KEY_OVERHEAD)?;
                new.push(key);
            }
        }
        Ok(new)
    }
}

/// What is left of the bytes that one result may have.
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_BUFFERED)
    }
}

impl Budget {
    /// What is not needed any more.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.0 += bytes;
    }

    /// Takes nothing when there is not enough.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(StoreError::too_large)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn a_list_of_keys_is_limited_and_a_stream_is_not() {
        let page = || Ok(vec!["k".repeat(MAX_BUFFERED / 2); 1]);
        let pages = || stream::iter([page(), page()]).boxed();
        assert_eq!(all_keys(pages()).await, Err(StoreError::too_large()));
        assert_eq!(pages().try_collect::<Vec<_>>().await.unwrap().len(), 2);
        let one = stream::iter([page()]).boxed();
        assert_eq!(all_keys(one).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_error_between_pages_ends_the_list() {
        let pages = stream::iter([Ok(vec!["a".into()]), Err(StoreError::new("gone"))]).boxed();
        assert_eq!(all_keys(pages).await, Err(StoreError::new("gone")));
    }

    #[test]
    fn a_key_that_comes_twice_is_shown_once() {
        let mut seen = Seen::default();
        let page = |keys: &[&str]| keys.iter().map(|key| key.to_string()).collect::<Vec<_>>();
        assert_eq!(seen.only_new(page(&["a", "b", "a"])).unwrap(), ["a", "b"]);
        assert_eq!(seen.only_new(page(&["b", "c"])).unwrap(), ["c"]);
    }
}

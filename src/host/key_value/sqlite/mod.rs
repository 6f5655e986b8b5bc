//! The `spin` type: a SQLite file in the form of `spin up`'s, or a database in memory.

mod file;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;

use super::store::{Expected, KeyPages, Store, StoreError, Swap};
use crate::host::state_quota::{Room, StateQuota};
use file::{Database, Place};

/// An app, and one of its labels.
type AppLabel = (Arc<str>, String);

/// The databases that are in use, so that each file has one connection in the process: all versions of an app that
/// drain, and all apps that name the same file, work over it and never wait for each other's locks.
#[derive(Default)]
pub(super) struct Databases {
    files: Mutex<HashMap<PathBuf, Weak<Database>>>,
    memory: Mutex<HashMap<AppLabel, Weak<Database>>>,
}

impl Databases {
    /// The store of `label` in a file, which need not exist.
    pub(super) fn file(&self, path: &Path, label: &str) -> SqliteStore {
        let path = canonical(path);
        let place = Place::File(path.clone());
        SqliteStore::new(shared(&self.files, path, place), label)
    }

    /// A store in memory, for as long as any version of the app uses it.
    pub(super) fn memory(&self, app: &Arc<str>, label: &str) -> SqliteStore {
        let key = (app.clone(), label.to_owned());
        SqliteStore::new(shared(&self.memory, key, Place::Memory), label)
    }
}

fn shared<K: Eq + std::hash::Hash>(
    databases: &Mutex<HashMap<K, Weak<Database>>>,
    key: K,
    place: Place,
) -> Arc<Database> {
    // Nothing under the lock can panic half-way.
    let mut databases = databases.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(database) = databases.get(&key).and_then(Weak::upgrade) {
        return database;
    }
    databases.retain(|_, database| database.strong_count() > 0);
    let database = Database::new(place);
    databases.insert(key, Arc::downgrade(&database));
    database
}

/// One name for a file, however it was named. What does not exist keeps the name that it was given.
fn canonical(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) => canonical(directory).join(name),
        _ => path.into(),
    }
}

/// One label in one database.
pub(super) struct SqliteStore {
    database: Arc<Database>,
    label: Arc<str>,
    room: Option<Room>,
}

impl SqliteStore {
    fn new(database: Arc<Database>, label: &str) -> Self {
        Self {
            database,
            label: label.into(),
            room: None,
        }
    }

    /// Keeps a file in the app's state directory, whose path this is, within its quota.
    pub(super) fn within(mut self, path: &Path, quota: Option<&Arc<StateQuota>>) -> Self {
        self.room = quota.and_then(|quota| quota.room(path));
        self
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let (label, key) = (self.label.clone(), key.to_owned());
        self.database
            .read(move |connection| schema::get(connection, &label, &key))
            .await
    }

    async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let (label, key) = (self.label.clone(), key.to_owned());
        self.database
            .write(self.room.clone(), move |connection| {
                schema::set(connection, &label, &key, &value)
            })
            .await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let (label, key) = (self.label.clone(), key.to_owned());
        self.database
            .write(self.room.clone(), move |connection| {
                schema::delete(connection, &label, &key)
            })
            .await
    }

    async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        let (label, key) = (self.label.clone(), key.to_owned());
        self.database
            .read(move |connection| schema::exists(connection, &label, &key))
            .await
    }

    fn keys(&self) -> KeyPages {
        enum Next {
            First,
            After(String),
            End,
        }
        let (database, label) = (self.database.clone(), self.label.clone());
        stream::try_unfold(Next::First, move |next| {
            let (database, label) = (database.clone(), label.clone());
            async move {
                let after = match next {
                    Next::First => None,
                    Next::After(key) => Some(key),
                    Next::End => return Ok(None),
                };
                let (keys, is_last) = database
                    .read(move |connection| schema::page(connection, &label, after.as_deref()))
                    .await?;
                let next = match keys.last() {
                    Some(last) if !is_last => Next::After(last.clone()),
                    _ => Next::End,
                };
                Ok(Some((keys, next)))
            }
        })
        .boxed()
    }

    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<(String, Option<Vec<u8>>)>, StoreError> {
        let label = self.label.clone();
        self.database
            .read(move |connection| schema::get_many(connection, &label, keys))
            .await
    }

    async fn set_many(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), StoreError> {
        let label = self.label.clone();
        self.database
            .write(self.room.clone(), move |connection| {
                schema::atomically(connection, || {
                    pairs
                        .iter()
                        .try_for_each(|(key, value)| schema::set(connection, &label, key, value))
                })
            })
            .await
    }

    async fn delete_many(&self, keys: Vec<String>) -> Result<(), StoreError> {
        let label = self.label.clone();
        self.database
            .write(self.room.clone(), move |connection| {
                schema::atomically(connection, || {
                    keys.iter()
                        .try_for_each(|key| schema::delete(connection, &label, key))
                })
            })
            .await
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        let (label, key) = (self.label.clone(), key.to_owned());
        self.database
            .write(self.room.clone(), move |connection| {
                schema::increment(connection, &label, &key, delta)
            })
            .await
    }

    async fn swap(&self, key: &str, expected: Expected, value: Vec<u8>) -> Result<Swap, StoreError> {
        let (label, key) = (self.label.clone(), key.to_owned());
        self.database
            .write(self.room.clone(), move |connection| {
                schema::swap(connection, &label, &key, &expected, &value)
            })
            .await
    }
}

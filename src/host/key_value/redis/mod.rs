//! The `redis` type: keys `<app>:<label>:<key>` on a server that may be anyone's.

mod server;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use redis::{Cmd, RedisError, cmd};

use super::prefix::prefix;
use super::store::{Budget, Expected, KeyPages, Seen, Store, StoreError, Swap};
use crate::host::limits::MAX_BUFFERED;
use crate::variables::Secret;
use server::{Repeat, Server};

/// Keys that the server looks at for one page.
const SCAN_COUNT: usize = 1_000;

/// Writes `ARGV[1]` if the key holds what is expected: nothing when there is no `ARGV[2]`. Gives back whether it did
/// and, if not, what the key holds.
const SWAP: &str = "local current = redis.call('GET', KEYS[1])
if current ~= (ARGV[2] or false) then return {0, current} end
redis.call('SET', KEYS[1], ARGV[1])
return {1, false}";

/// The servers that are in use: one connection for each URL.
#[derive(Default)]
pub(super) struct Servers {
    servers: Mutex<HashMap<String, Weak<Server>>>,
}

impl Servers {
    /// The store of one app's label. An error is a URL that is none; nothing is connected.
    pub(super) fn store(&self, url: &Secret, app: &str, label: &str) -> Result<RedisStore, RedisError> {
        // Nothing under the lock can panic half-way.
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = servers.get(url.expose()).and_then(Weak::upgrade);
        let server = match known {
            Some(server) => server,
            None => {
                let server = Arc::new(Server::new(url)?);
                servers.retain(|_, server| server.strong_count() > 0);
                servers.insert(url.expose().into(), Arc::downgrade(&server));
                server
            }
        };
        Ok(RedisStore {
            server,
            prefix: prefix(app, label).into(),
        })
    }
}

/// One label of one app on a server.
pub(super) struct RedisStore {
    server: Arc<Server>,
    prefix: Arc<str>,
}

impl RedisStore {
    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn command(&self, name: &str, key: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(self.name(key));
        command
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let value: Option<Vec<u8>> = self.server.ask(&self.command("GET", key), Repeat::Safe).await?;
        match value {
            Some(value) if value.len() > MAX_BUFFERED => Err(StoreError::too_large()),
            value => Ok(value),
        }
    }

    async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let mut command = self.command("SET", key);
        command.arg(value);
        self.server.ask(&command, Repeat::Safe).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.server.ask(&self.command("DEL", key), Repeat::Safe).await
    }

    async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        self.server.ask(&self.command("EXISTS", key), Repeat::Safe).await
    }

    fn keys(&self) -> KeyPages {
        struct Scan {
            server: Arc<Server>,
            prefix: Arc<str>,
            /// `None` is the end; the server's own end is its first cursor, 0.
            cursor: Option<u64>,
            seen: Seen,
        }
        let scan = Scan {
            server: self.server.clone(),
            prefix: self.prefix.clone(),
            cursor: Some(0),
            seen: Seen::default(),
        };
        stream::try_unfold(scan, async |mut scan| {
            let Some(cursor) = scan.cursor else {
                return Ok(None);
            };
            let mut command = cmd("SCAN");
            command
                .arg(cursor)
                .arg("MATCH")
                .arg(pattern(&scan.prefix))
                .arg("COUNT")
                .arg(SCAN_COUNT);
            let (cursor, names): (u64, Vec<Vec<u8>>) = scan.server.ask(&command, Repeat::Safe).await?;
            let keys = names.into_iter().map(|name| key_of(name, &scan.prefix));
            let keys = scan.seen.only_new(keys.collect::<Result<_, _>>()?)?;
            scan.cursor = (cursor != 0).then_some(cursor);
            Ok(Some((keys, scan)))
        })
        .boxed()
    }

    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<(String, Option<Vec<u8>>)>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = cmd("MGET");
        for key in &keys {
            command.arg(self.name(key));
        }
        let values: Vec<Option<Vec<u8>>> = self.server.ask(&command, Repeat::Safe).await?;
        let mut budget = Budget::default();
        for value in values.iter().flatten() {
            budget.take(value.len())?;
        }
        Ok(keys.into_iter().zip(values).collect())
    }

    async fn set_many(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), StoreError> {
        if pairs.is_empty() {
            return Ok(());
        }
        let mut command = cmd("MSET");
        for (key, value) in pairs {
            command.arg(self.name(&key)).arg(value);
        }
        self.server.ask(&command, Repeat::Safe).await
    }

    async fn delete_many(&self, keys: Vec<String>) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut command = cmd("DEL");
        for key in &keys {
            command.arg(self.name(key));
        }
        self.server.ask(&command, Repeat::Safe).await
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        let mut command = self.command("INCRBY", key);
        command.arg(delta);
        self.server.ask(&command, Repeat::Never).await
    }

    async fn swap(&self, key: &str, expected: Expected, value: Vec<u8>) -> Result<Swap, StoreError> {
        let Expected::Value(expected) = expected else {
            return self.set(key, value).await.map(|()| Swap::Done);
        };
        let mut command = cmd("EVAL");
        command.arg(SWAP).arg(1).arg(self.name(key)).arg(value);
        if let Some(expected) = expected {
            command.arg(expected);
        }
        let (done, current): (bool, Option<Vec<u8>>) = self.server.ask(&command, Repeat::Never).await?;
        match current {
            _ if done => Ok(Swap::Done),
            Some(current) if current.len() > MAX_BUFFERED => Err(StoreError::too_large()),
            current => Ok(Swap::Changed(current)),
        }
    }
}

/// What SCAN matches: every name that begins with `prefix`, taken literally.
fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for character in prefix.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('*');
    pattern
}

fn key_of(mut name: Vec<u8>, prefix: &str) -> Result<String, StoreError> {
    let key = name.split_off(prefix.len().min(name.len()));
    String::from_utf8(key).map_err(|_| StoreError::new("a key in the store is not UTF-8 text"))
}

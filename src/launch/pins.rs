//! What of the store each app needs, so that pruning leaves it alone.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::control::AppId;
use crate::oci::{Looked, Pin, Store};
use crate::tasks;

/// When the store is looked at first: apps start before, which want the disk and the processor.
const FIRST_PRUNE: Duration = Duration::from_secs(5);
/// When pruning is tried again while somebody adds content.
const BUSY_PAUSE: Duration = Duration::from_secs(5);
/// Pruning takes one part in so many of the time, however large the store and however often it changes.
const REST: u32 = 50;
/// How often the store is looked at when nothing changes here: another daemon may fill it.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The pins of one daemon. An app's pin covers every version of it that still runs; the last one stays when the daemon
/// ends, for the last good version to start from.
#[derive(Clone)]
pub struct Pins {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    owner: String,
    /// An app is in it before anything is written of it. Held for a look only.
    apps: Mutex<HashMap<AppId, Arc<Versions>>>,
    changed: Notify,
}

/// The versions of one app. Held over a write: the file has to say what is here, and others don't wait for the disk.
type Versions = Mutex<Vec<Arc<Vec<Pin>>>>;

/// Keeps one version's pins; dropped, they end soon, unless it was the app's only version.
pub(super) struct VersionPins {
    pins: Pins,
    app: AppId,
    items: Arc<Vec<Pin>>,
}

/// Keeps one version's pins, which are written meanwhile.
pub(super) type Pinned = Arc<OnceLock<VersionPins>>;

impl Pins {
    /// `owner` tells this daemon's pins from those of others on the same store.
    pub fn new(store: Store, owner: String) -> Self {
        let shared = Shared {
            store,
            owner,
            apps: Mutex::default(),
            changed: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Prunes the store to `limit` bytes soon, whenever something was added to it, and now and then, in a task of its own.
    pub fn keep_store_below(&self, limit: u64) {
        let shared = self.shared.clone();
        tasks::spawn("prune", async move {
            tokio::time::sleep(FIRST_PRUNE).await;
            loop {
                let store = shared.store.clone();
                let mut pause = PRUNE_INTERVAL;
                let began = Instant::now();
                match tokio::task::spawn_blocking(move || store.prune(limit)).await {
                    // Also by whoever has just pinned something: its lease ends after it has told so.
                    Ok(Ok(pruned)) if pruned.busy => pause = BUSY_PAUSE,
                    Ok(Ok(pruned)) if pruned.removed > 0 => {
                        tracing::info!(
                            entries = pruned.removed,
                            bytes = pruned.after,
                            "the cache was pruned"
                        );
                    }
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "the cache can't be pruned"
                        );
                    }
                    // It panicked, which has been logged.
                    Err(_) => {}
                }
                tokio::time::sleep(began.elapsed() * REST).await;
                tokio::select! {
                    () = shared.changed.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
    }

    /// Pins what a version needs, soon. Its lease lasts until then.
    pub(super) fn hold(&self, app: AppId, items: Vec<Pin>, lease: Arc<Looked>) -> Pinned {
        let pinned = Pinned::default();
        let (pins, slot) = (self.clone(), pinned.clone());
        tasks::spawn("pin", async move {
            let pins = tasks::on_disk(move || pins.add(&app, items)).await;
            // Nobody else sets it. If the version has ended meanwhile, this ends its pins.
            let _ = slot.set(pins);
            drop(lease);
        });
        pinned
    }

    /// Pins what a version needs. Blocks on the disk.
    pub(super) fn add(&self, app: &AppId, items: Vec<Pin>) -> VersionPins {
        let items = Arc::new(items);
        self.change(app, |versions| versions.push(items.clone()));
        VersionPins {
            pins: self.clone(),
            app: app.clone(),
            items,
        }
    }

    /// Ends all pins of an app whose file is gone. Blocks on the disk.
    pub(super) fn forget(&self, app: &AppId) {
        self.change(app, Vec::clear);
    }

    /// Ends the pins of apps that an earlier run had, and that are not among `apps`. Blocks on the disk.
    pub(super) fn retain(&self, apps: &[AppId]) {
        // Held until it is done: who comes later writes later.
        let table = lock(&self.shared.apps);
        let keep: HashSet<&str> = apps.iter().chain(table.keys()).map(AppId::as_str).collect();
        let retained = self.shared.store.retain_pins(&self.shared.owner, keep);
        drop(table);
        if let Err(error) = retained {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what earlier apps needed can't be given up for pruning"
            );
        }
        self.shared.changed.notify_one();
    }

    /// Ends the pins of one version, unless it is the app's only one. Blocks on the disk.
    fn end(&self, app: &AppId, ended: &Arc<Vec<Pin>>) {
        let known = lock(&self.shared.apps).get(app).cloned();
        // The last good version may have to start again from what the store has.
        let are_several = |versions: &Vec<_>| versions.len() > 1;
        if known.is_some_and(|known| are_several(&lock(&known))) {
            self.change(app, |versions| {
                // Another one may have ended meanwhile.
                if are_several(versions) {
                    versions.retain(|items| !Arc::ptr_eq(items, ended));
                }
            });
        }
    }

    fn change(&self, app: &AppId, change: impl FnOnce(&mut Vec<Arc<Vec<Pin>>>)) {
        let known = lock(&self.shared.apps).entry(app.clone()).or_default().clone();
        let mut versions = lock(&known);
        change(&mut versions);
        let items: Vec<Pin> = versions.iter().flat_map(|items| items.iter().cloned()).collect();
        let written = match items.is_empty() {
            true => self.shared.store.unpin(&self.shared.owner, app.as_str()),
            false => self.shared.store.pin(&self.shared.owner, app.as_str(), &items),
        };
        drop(versions);
        drop(known);
        let mut table = lock(&self.shared.apps);
        // Unless somebody is about to change it again.
        let is_over = |known: &Arc<Versions>| Arc::strong_count(known) == 1 && lock(known).is_empty();
        if table.get(app).is_some_and(is_over) {
            table.remove(app);
        }
        drop(table);
        if let Err(error) = written {
            tracing::warn!(
                app = app.as_str(),
                error = &error as &dyn std::error::Error,
                "what the app needs can't be kept from being pruned"
            );
        }
        self.shared.changed.notify_one();
    }
}

impl Drop for VersionPins {
    fn drop(&mut self) {
        let (pins, app, items) = (self.pins.clone(), self.app.clone(), self.items.clone());
        // A version ends on a thread that serves requests, which is not to wait for a disk.
        tasks::later_on_disk("unpin", move || pins.end(&app, &items));
    }
}

/// Nothing panics while one of these is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any pause before the next try.
    const BOUND: Duration = Duration::from_secs(30);

    async fn gone(store: &Store, digest: &crate::oci::Digest) {
        let waiting = async {
            while store.path(digest).exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(BOUND, waiting).await.expect("it is pruned");
    }

    #[tokio::test]
    async fn the_store_is_pruned_at_start_and_again_after_it_was_busy() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let old = store.put(b"old").unwrap();
        let pins = Pins::new(store.clone(), "owner".into());
        pins.keep_store_below(0);
        gone(&store, &old).await;

        let lease = store.lease().unwrap();
        let unpinned = store.put(b"unpinned").unwrap();
        pins.shared.changed.notify_one();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(store.path(&unpinned).exists());
        drop(lease);
        gone(&store, &unpinned).await;
    }

    #[tokio::test]
    async fn the_pins_of_a_version_end_with_it_unless_it_is_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let pins = Pins::new(store.clone(), "owner".into());
        let [old, new] = [b"old", b"new"].map(|content| store.put(content).unwrap());
        let app = AppId::new("app");
        let [first, last] = [old, new].map(|digest| pins.add(&app, vec![digest.into()]));
        store.prune(0).unwrap();
        assert!(store.path(&old).exists());
        drop(first);
        pins.keep_store_below(0);
        gone(&store, &old).await;
        pins.end(&app, &last.items);
        store.prune(0).unwrap();
        assert!(store.path(&new).exists());
    }

    #[test]
    fn apps_of_an_earlier_run_lose_their_pins_and_those_of_this_one_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let items = ["listed", "running", "gone"].map(|app| (app, store.put(app.as_bytes()).unwrap()));
        for (app, digest) in &items {
            store.pin("owner", app, &[digest.into()]).unwrap();
        }
        let pins = Pins::new(store.clone(), "owner".into());
        let _running = pins.add(&AppId::new("running"), vec![items[1].1.into()]);
        pins.retain(&[AppId::new("listed")]);
        store.prune(0).unwrap();
        let left = items.map(|(_, digest)| store.path(&digest).exists());
        assert_eq!(left, [true, true, false]);
    }
}

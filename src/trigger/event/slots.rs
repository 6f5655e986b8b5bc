//! What outlives a version of an app: a subscription, a clock. Versions are put behind it and taken away, so that none of
//! its events is lost or seen twice when an app changes; as a listener is to HTTP.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::tasks;

/// What is behind a slot now; nothing when it is to close.
pub(in crate::trigger) type Current<V> = watch::Receiver<Option<Arc<V>>>;

/// All slots of one kind of trigger. A cheap handle.
pub(in crate::trigger) struct Slots<K, V> {
    open: Arc<Mutex<HashMap<K, Slot<V>>>>,
}

struct Slot<V> {
    current: watch::Sender<Option<Arc<V>>>,
    /// Serves whatever is current, until nothing is.
    task: JoinHandle<()>,
}

impl<K, V> Clone for Slots<K, V> {
    fn clone(&self) -> Self {
        Self {
            open: self.open.clone(),
        }
    }
}

impl<K, V> Default for Slots<K, V> {
    fn default() -> Self {
        Self { open: Arc::default() }
    }
}

impl<K: Clone + Eq + Hash, V: Send + Sync + 'static> Slots<K, V> {
    /// Puts `value` into the slot of `key`. For a slot that is not open yet, `serve` becomes its task, which must end when
    /// nothing is current any more.
    pub(in crate::trigger) fn attach<F>(
        &self,
        key: K,
        value: Arc<V>,
        name: &'static str,
        serve: impl FnOnce(Current<V>) -> F,
    ) -> Attached<K, V>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut open = self.lock();
        match open.get(&key) {
            // A task that has ended by mistake is begun anew.
            Some(slot) if !slot.task.is_finished() => {
                slot.current.send_replace(Some(value.clone()));
            }
            _ => {
                let (current, watched) = watch::channel(Some(value.clone()));
                let task = tasks::spawn(name, serve(watched));
                open.insert(key.clone(), Slot { current, task });
            }
        }
        drop(open);
        Attached {
            slots: self.clone(),
            place: Some((key, value)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Slot<V>>> {
        // Nothing panics while the table is held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A value in its slot; dropping it takes it away.
pub(in crate::trigger) struct Attached<K: Clone + Eq + Hash, V: Send + Sync + 'static> {
    slots: Slots<K, V>,
    place: Option<(K, Arc<V>)>,
}

impl<K: Clone + Eq + Hash, V: Send + Sync + 'static> Attached<K, V> {
    /// Takes the value away. When nothing else has been put in its place, the slot closes, and this is its task, which ends
    /// by itself.
    pub(in crate::trigger) fn detach(mut self) -> Option<JoinHandle<()>> {
        self.take()
    }

    fn take(&mut self) -> Option<JoinHandle<()>> {
        let (key, value) = self.place.take()?;
        let mut open = self.slots.lock();
        let slot = open.get(&key)?;
        let ours = slot
            .current
            .borrow()
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, &value));
        if !ours {
            return None;
        }
        let slot = open.remove(&key)?;
        slot.current.send_replace(None);
        Some(slot.task)
    }
}

impl<K: Clone + Eq + Hash, V: Send + Sync + 'static> Drop for Attached<K, V> {
    fn drop(&mut self) {
        self.take();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Reports everything that becomes current, and its own end.
    async fn report(mut current: Current<u32>, seen: mpsc::UnboundedSender<Option<u32>>) {
        loop {
            let value = current.borrow_and_update().as_deref().copied();
            seen.send(value).unwrap();
            if value.is_none() || current.changed().await.is_err() {
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_new_version_takes_the_slot_and_the_old_one_leaves_it_alone() {
        let slots = Slots::default();
        let (seen, mut seen_by_test) = mpsc::unbounded_channel();
        let attach = |value: u32| {
            let seen = seen.clone();
            slots.attach("k", Arc::new(value), "test", |current| report(current, seen))
        };
        let old = attach(1);
        assert_eq!(seen_by_test.recv().await, Some(Some(1)));
        let new = attach(2);
        assert!(old.detach().is_none());
        assert_eq!(seen_by_test.recv().await, Some(Some(2)));
        new.detach().unwrap().await.unwrap();
        assert_eq!(seen_by_test.recv().await, Some(None));
        assert!(slots.lock().is_empty());
    }

    #[tokio::test]
    async fn a_slot_that_is_dropped_closes_and_can_be_opened_again() {
        let slots = Slots::default();
        let (seen, mut seen_by_test) = mpsc::unbounded_channel();
        for value in [1, 2] {
            let seen = seen.clone();
            drop(slots.attach("k", Arc::new(value), "test", |current| report(current, seen)));
            while seen_by_test.recv().await.unwrap().is_some() {}
        }
        assert!(slots.lock().is_empty());
    }

    #[tokio::test]
    async fn a_task_that_ended_by_mistake_is_begun_anew() {
        let slots: Slots<&str, u32> = Slots::default();
        let dead = slots.attach("k", Arc::new(1), "test", |_| async {});
        while !slots.lock()["k"].task.is_finished() {
            tokio::task::yield_now().await;
        }
        let (seen, mut seen_by_test) = mpsc::unbounded_channel();
        let live = slots.attach("k", Arc::new(2), "test", |current| report(current, seen));
        assert!(dead.detach().is_none());
        assert_eq!(seen_by_test.recv().await, Some(Some(2)));
        live.detach().unwrap().await.unwrap();
    }
}

//! One version of an app's triggers of one kind, from its start to the end of its last event.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::slots::Attached;
use crate::tasks;
use crate::trigger::guest::Life;

/// Triggers that have been started.
#[derive(Debug)]
pub struct Running<T = ()> {
    /// Ends when the triggers have been stopped and drained.
    pub task: JoinHandle<T>,
    /// Tells the task to stop, and how long events in flight may go on. Dropping it stops without a drain.
    pub stop: oneshot::Sender<Duration>,
    /// What calls what, a line each, for people.
    pub about: Vec<String>,
}

/// Runs a version that is behind slots: until it is told to stop, and its last event has ended.
pub(in crate::trigger) fn run_behind<K, V>(
    name: &'static str,
    app: Arc<str>,
    life: Life,
    attached: Vec<Attached<K, V>>,
    about: Vec<String>,
) -> Running
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Send + Sync + 'static,
{
    let (stop, stopped) = oneshot::channel();
    let task = tasks::spawn(name, async move {
        let limit = stopped.await.unwrap_or_default();
        let closing: Vec<_> = attached.into_iter().filter_map(Attached::detach).collect();
        drain(&app, &life, limit).await;
        // Each has its own limit for taking leave of its server; a panic has been logged.
        futures::future::join_all(closing).await;
    });
    Running { task, stop, about }
}

/// Waits for the events in flight, for `limit` at most; then aborts them.
pub(in crate::trigger) async fn drain(app: &str, life: &Life, limit: Duration) {
    life.drain.cancel();
    life.in_flight.close();
    if tokio::time::timeout(limit, life.in_flight.wait()).await.is_err() {
        let in_flight = life.in_flight.len();
        tracing::warn!(app, in_flight, "events in flight are aborted");
    }
    life.force.cancel();
    life.in_flight.wait().await;
}

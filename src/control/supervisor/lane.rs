//! How many apps begin to be prepared at once.
//!
//! Thousands may start together, and each needs far more memory while it is prepared than when it runs. What takes longer
//! than a look at the disk waits for something else, a registry or a compiler, and is not to keep the others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Not many more than there are processors: requests stand in the same queues as what is done here.
const PLACES: usize = 16;
/// For so long does an app have its place.
const PATIENCE: Duration = Duration::from_millis(20);

/// The places. Clones are handles to the same ones.
#[derive(Debug, Clone)]
pub(super) struct Lane(Arc<Semaphore>);

impl Default for Lane {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PLACES)))
    }
}

impl Lane {
    /// Makes the attempt when there is a place; whoever waits for one needs no room for more than `begin`.
    pub(super) async fn run<F: Future>(self, begin: impl FnOnce() -> F) -> F::Output {
        // It is never closed.
        let place = self.0.acquire().await;
        let mut attempt = Box::pin(begin());
        match timeout(PATIENCE, &mut attempt).await {
            Ok(outcome) => outcome,
            Err(_) => {
                drop(place);
                attempt.await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_something_else_gives_up_its_place() {
        let lane = Lane::default();
        let slow: Vec<_> = (0..PLACES)
            .map(|_| tokio::spawn(lane.clone().run(pending::<()>)))
            .collect();
        while lane.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let others = (0..2 * PLACES).map(|_| lane.clone().run(|| async {}));
        futures::future::join_all(others).await;
        assert!(slow.iter().all(|attempt| !attempt.is_finished()));
    }
}

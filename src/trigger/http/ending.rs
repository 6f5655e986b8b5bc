//! What ends an exchange before it is done.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::body::Oversize;
use super::respond::Refusal;
use crate::runtime::{Overruns, Reason};

/// Watches one exchange, from the moment that it has its place.
pub(super) struct Ending {
    force: CancellationToken,
    deadline: Option<Instant>,
    oversize: Option<Oversize>,
    overruns: Arc<Overruns>,
}

/// Ends with the refusal that the client is owed, unless its response has begun.
pub(super) type Ended = Pin<Box<dyn Future<Output = Refusal> + Send>>;

impl Ending {
    /// `force`: the app has to stop now. `time`: how long the exchange may take.
    pub(super) fn new(
        force: CancellationToken,
        time: Option<Duration>,
        oversize: Option<Oversize>,
        overruns: Arc<Overruns>,
    ) -> Self {
        Self {
            force,
            deadline: time.map(|time| Instant::now() + time),
            oversize,
            overruns,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn wait(self) -> Ended {
        Box::pin(async move {
            let out_of_time = async {
                match self.deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => pending().await,
                }
            };
            let oversize = async {
                match &self.oversize {
                    Some(oversize) => oversize.told().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = oversize => Refusal::TooLarge,
                () = self.force.cancelled() => Refusal::Unavailable,
                () = out_of_time => {
                    self.overruns.record(Reason::RequestTime);
                    Refusal::OutOfTime
                }
            }
        })
    }
}

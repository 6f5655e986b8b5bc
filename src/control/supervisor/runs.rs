//! The ends of runs: waited for here rather than in a task for each of thousands of apps.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::manifest::AppId;

/// A trigger task, until it has ended.
pub(super) struct Run {
    pub(super) owner: AppId,
    /// Tells the runs of one app apart.
    pub(super) run: u64,
    pub(super) task: JoinHandle<()>,
    /// Cancelled at the end.
    pub(super) ended: CancellationToken,
}

/// The end of a trigger task, asked or not.
pub(super) struct RunEnd {
    pub(super) owner: AppId,
    pub(super) run: u64,
    pub(super) panicked: bool,
}

impl Future for Run {
    type Output = RunEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<RunEnd> {
        let ended = ready!(Pin::new(&mut self.task).poll(cx));
        self.ended.cancel();
        Poll::Ready(RunEnd {
            owner: self.owner.clone(),
            run: self.run,
            panicked: ended.is_err_and(|error| error.is_panic()),
        })
    }
}

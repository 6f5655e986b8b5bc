//! What a pull tells about its progress. `cli` draws bars from it; without a terminal it becomes log lines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Told of every pull that has something to fetch. One that finds all content present starts nothing.
pub trait Progress: Send + Sync {
    /// A pull of `what` (the reference as written) begins; `total` is in bytes, where the manifest tells it.
    fn start(&self, what: &str, total: Option<u64>) -> Box<dyn ProgressItem>;
}

/// One running pull. Dropped without [`ProgressItem::finish`], the pull failed or was given up.
pub trait ProgressItem: Send + Sync {
    /// `bytes` more have arrived. Called from several tasks at once.
    fn advance(&self, bytes: u64);
    /// `bytes` that had arrived are of no use: a transfer begins again.
    fn retract(&self, bytes: u64);
    /// All has arrived and is verified.
    fn finish(self: Box<Self>);
}

/// Two log lines for each pull: when it starts and when it is complete.
#[derive(Debug, Default, Clone, Copy)]
pub struct LogProgress;

struct LogItem {
    what: String,
    started: Instant,
    bytes: AtomicU64,
}

impl Progress for LogProgress {
    fn start(&self, what: &str, total: Option<u64>) -> Box<dyn ProgressItem> {
        tracing::info!(artifact = what, bytes = total, "fetching artifact");
        Box::new(LogItem {
            what: what.to_owned(),
            started: Instant::now(),
            bytes: AtomicU64::new(0),
        })
    }
}

impl ProgressItem for LogItem {
    fn advance(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn retract(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn finish(self: Box<Self>) {
        tracing::info!(
            artifact = self.what,
            bytes = self.bytes.load(Ordering::Relaxed),
            seconds = self.started.elapsed().as_secs_f64(),
            "artifact fetched"
        );
    }
}

//! Limits that an app has reached: counted by reason, and told once a minute.

use std::sync::OnceLock;

use crate::metrics::{AppMetrics, Reason};
use crate::telemetry::Tally;

/// Why an instance was ended: a limit of its app, and no mistake of the guest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitReached {
    #[error("the instance needs more memory than the app's limit `memory` allows")]
    Memory,
    #[error("the app's limit `cpu_time` is used up")]
    CpuTime,
}

impl LimitReached {
    /// The limit behind an engine's error, if there is one.
    pub fn of(error: &wasmtime::Error) -> Option<Self> {
        error.downcast_ref().copied()
    }

    pub fn reason(self) -> Reason {
        match self {
            Self::Memory => Reason::Memory,
            Self::CpuTime => Reason::CpuTime,
        }
    }
}

/// The limits of one version of an app.
#[derive(Debug)]
pub struct Overruns {
    metrics: AppMetrics,
    /// From the first one: most apps reach none.
    untold: OnceLock<Box<[Tally; Reason::ALL.len()]>>,
}

impl Overruns {
    /// What is counted is counted for the app.
    pub fn new(metrics: AppMetrics) -> Self {
        Self {
            metrics,
            untold: OnceLock::new(),
        }
    }

    /// Where all else of the app is counted.
    pub fn metrics(&self) -> &AppMetrics {
        &self.metrics
    }

    /// Counts one, and says so unless that was said a moment ago.
    pub fn record(&self, reason: Reason) {
        self.metrics.limit(reason);
        if let Some(times) = self.untold.get_or_init(Box::default)[reason as usize].add() {
            tracing::warn!(
                app = %self.metrics.app(),
                limit = reason.member(),
                times,
                "the app reached a limit: see `limits` of its file, or the daemon's `--limits`"
            );
        }
    }
}

#[cfg(test)]
impl Overruns {
    /// Of an app that nobody else counts.
    pub fn alone() -> Self {
        Self::new(AppMetrics::alone("app"))
    }

    /// Counts so far.
    pub fn total(&self, reason: Reason) -> u64 {
        self.metrics.total(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_apart() {
        let overruns = Overruns::alone();
        overruns.record(Reason::Rate);
        overruns.record(Reason::Rate);
        overruns.record(Reason::LogRate);
        let totals = Reason::ALL.map(|reason| (reason, overruns.total(reason)));
        let seen: Vec<_> = totals.into_iter().filter(|(_, total)| *total > 0).collect();
        assert_eq!(seen, [(Reason::Rate, 2), (Reason::LogRate, 1)]);
    }
}

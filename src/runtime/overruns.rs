//! Limits that an app has reached: counted by reason, and told once a minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::telemetry::Tally;

/// Which limit it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Memory,
    CpuTime,
    RequestTime,
    /// Too many requests at once, and no room or no time to wait.
    Queue,
    Rate,
    Body,
    Headers,
    LogRate,
}

impl Reason {
    const ALL: [Self; 8] = [
        Self::Memory,
        Self::CpuTime,
        Self::RequestTime,
        Self::Queue,
        Self::Rate,
        Self::Body,
        Self::Headers,
        Self::LogRate,
    ];

    /// The member of an app file's `limits` that says more or less of it.
    pub fn member(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::CpuTime => "cpu_time",
            Self::RequestTime => "request_time",
            Self::Queue => "requests",
            Self::Rate => "rate",
            Self::Body => "body",
            Self::Headers => "headers",
            Self::LogRate => "log_rate",
        }
    }
}

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

/// How often one version of an app reached each of its limits.
#[derive(Debug)]
pub struct Overruns {
    app: Arc<str>,
    counts: [Count; Reason::ALL.len()],
}

#[derive(Debug, Default)]
struct Count {
    total: AtomicU64,
    untold: Tally,
}

impl Overruns {
    /// `app` names it in the log.
    pub fn new(app: Arc<str>) -> Self {
        Self {
            app,
            counts: Default::default(),
        }
    }

    /// Counts one, and says so unless that was said a moment ago.
    pub fn record(&self, reason: Reason) {
        if let Some(times) = self.counts[reason as usize].add(Instant::now()) {
            tracing::warn!(
                app = %self.app,
                limit = reason.member(),
                times,
                "the app reached a limit: see `limits` of its file, or the daemon's `--limits`"
            );
        }
    }

    /// Counts so far.
    pub fn total(&self, reason: Reason) -> u64 {
        self.counts[reason as usize].total.load(Ordering::Relaxed)
    }

    /// Of every reason.
    pub fn totals(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().map(|reason| (reason, self.total(reason)))
    }
}

impl Count {
    /// How many there were since the last time that this was some.
    fn add(&self, now: Instant) -> Option<u64> {
        self.total.fetch_add(1, Ordering::Relaxed);
        self.untold.add_at(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_a_minute_with_what_came_in_between() {
        let (count, start) = (Count::default(), Instant::now());
        assert_eq!(count.add(start), Some(1));
        assert_eq!(count.add(start), None);
        assert_eq!(count.add(start + Tally::INTERVAL / 2), None);
        assert_eq!(count.add(start + Tally::INTERVAL), Some(3));
    }

    #[test]
    fn reasons_are_counted_apart() {
        let overruns = Overruns::new("app".into());
        overruns.record(Reason::Rate);
        overruns.record(Reason::Rate);
        overruns.record(Reason::LogRate);
        let seen: Vec<_> = overruns.totals().filter(|(_, total)| *total > 0).collect();
        assert_eq!(seen, [(Reason::Rate, 2), (Reason::LogRate, 1)]);
    }
}

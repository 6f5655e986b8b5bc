//! What came in the last minutes, as routes answer it.

use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Serialize;

use crate::control::timestamp;
use crate::metrics::{STEP, STEPS, Step};

/// What came in the last minutes.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RecentTraffic {
    /// How many seconds are kept.
    seconds: u64,
    /// One after another, the oldest first. There is none before something came, and none when nothing has come for so long.
    steps: Vec<TrafficStep>,
}

/// What came in some seconds.
#[derive(Debug, Serialize, JsonSchema)]
struct TrafficStep {
    /// Their end.
    until: String,
    /// How many they are: 5, or more on a busy machine.
    seconds: f32,
    /// Requests that began.
    requests: u32,
    /// Requests that ended with a status of 500 or more.
    failed: u32,
    /// Requests that had not ended at the end.
    in_flight: u32,
    /// Seconds that half of the requests took which ended, about; `null` if none did.
    median: Option<f32>,
    /// Seconds that 99 of 100 took.
    p99: Option<f32>,
}

impl RecentTraffic {
    pub(super) fn of(steps: &[Step]) -> Self {
        let step = |step: &Step| TrafficStep {
            until: timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(step.until.into())),
            seconds: step.seconds,
            requests: step.requests,
            failed: step.failed,
            in_flight: step.in_flight,
            median: step.latency.map(|latency| latency.median),
            p99: step.latency.map(|latency| latency.p99),
        };
        Self {
            seconds: STEP.as_secs() * STEPS as u64,
            steps: steps.iter().map(step).collect(),
        }
    }
}

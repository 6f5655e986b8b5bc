//! The numbers that are plotted: counted since the first request. Whoever draws takes differences.

use serde::Serialize;

use crate::admin::api::traffic;
use crate::control::AppTraffic;
use crate::metrics::Numbers;

/// What is counted of some apps together.
#[derive(Debug, Serialize)]
pub(super) struct Sample {
    #[serde(flatten)]
    pub(super) traffic: AppTraffic,
    /// How many requests of each class of durations have ended: its bound in seconds, `null` for the one without, and the
    /// count.
    durations: Vec<(f64, u64)>,
}

impl Sample {
    pub(super) fn of<'n>(numbers: impl Iterator<Item = &'n Numbers>) -> Self {
        let mut sample = Self {
            traffic: AppTraffic {
                requests: 0,
                failed: 0,
                in_flight: 0,
                last_request: None,
                limits: Default::default(),
            },
            durations: Vec::new(),
        };
        for numbers in numbers {
            sample.add(numbers);
        }
        sample
    }

    fn add(&mut self, numbers: &Numbers) {
        let (sum, one) = (&mut self.traffic, traffic(numbers));
        sum.requests += one.requests;
        sum.failed += one.failed;
        sum.in_flight += one.in_flight;
        // Both are RFC 3339 in UTC: the later one is the greater one.
        sum.last_request = sum.last_request.take().max(one.last_request);
        for (limit, count) in one.limits {
            *sum.limits.entry(limit).or_default() += count;
        }
        let counts = numbers.durations().counts();
        if self.durations.is_empty() {
            self.durations = counts;
            return;
        }
        for ((_, sum), (_, count)) in self.durations.iter_mut().zip(counts) {
            *sum += count;
        }
    }

    /// As it stands in the HTML.
    pub(super) fn json(&self) -> String {
        // Numbers and texts always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

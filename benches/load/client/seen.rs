//! What clients saw.

use hdrhistogram::Histogram;

use crate::report;

/// Significant figures kept of each latency.
const PRECISION: u8 = 3;

/// By one client, or by all of a run.
pub struct Seen {
    pub latencies: Histogram<u64>,
    pub failed: u64,
    /// Questions that were asked again, once, because the server had closed the idle connection.
    pub retried: u64,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            latencies: Histogram::new(PRECISION).expect("a precision within bounds"),
            failed: 0,
            retried: 0,
        }
    }
}

impl Seen {
    pub fn add(&mut self, other: Seen) {
        self.latencies
            .add(other.latencies)
            .expect("histograms of one shape");
        self.failed += other.failed;
        self.retried += other.retried;
    }
}

/// What one run saw.
pub struct Run {
    /// Good answers a second.
    pub rate: f64,
    pub seen: Seen,
}

/// What several runs saw.
#[derive(Default)]
pub struct Load {
    rates: Vec<f64>,
    seen: Seen,
}

impl Load {
    pub fn add(&mut self, run: Run) {
        self.rates.push(run.rate);
        self.seen.add(run.seen);
    }

    pub fn median_rate(&self) -> f64 {
        report::median(&self.rates)
    }

    /// Requests that were answered.
    pub fn answered(&self) -> u64 {
        self.seen.latencies.len()
    }

    pub fn failed(&self) -> u64 {
        self.seen.failed
    }

    /// At the quantile, of which 1 is the longest.
    pub fn microseconds(&self, quantile: f64) -> u64 {
        self.seen.latencies.value_at_quantile(quantile)
    }

    /// Latencies, and what failed.
    pub fn print(&self, name: &str) {
        for (label, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999), ("max", 1.0)] {
            println!("{name}.{label}_us: {}", self.microseconds(quantile));
        }
        println!("{name}.failed: {}", self.failed());
        println!("{name}.retried: {}", self.seen.retried);
    }
}

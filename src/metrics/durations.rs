//! How long requests took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seconds: the upper bounds of all classes of durations but the last one, which has none. An instance of its own for each
/// request is made in microseconds, and requests are given up after minutes.
pub const BOUNDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];

/// The last one is for those above all bounds.
pub(super) const CLASSES: usize = BOUNDS.len() + 1;

/// Durations by class.
#[derive(Debug, Default)]
pub struct Durations {
    counts: [AtomicU64; CLASSES],
    /// Nanoseconds: half a millennium fits.
    sum: AtomicU64,
}

impl Durations {
    pub(super) fn add(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let class = BOUNDS.partition_point(|bound| *bound < seconds);
        self.counts[class].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(duration.as_nanos() as u64, Ordering::Relaxed);
    }

    /// How many there were of each class, with its bound in seconds; the last bound is infinite.
    pub fn counts(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        bounds.zip(self.classes()).collect()
    }

    pub(super) fn classes(&self) -> [u64; CLASSES] {
        std::array::from_fn(|class| self.counts[class].load(Ordering::Relaxed))
    }

    /// Of all of them.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum.load(Ordering::Relaxed))
    }
}

/// What a share of durations is below, in seconds, as if they were spread evenly in their class; `None` if there are none. Above
/// all bounds it is the last one.
pub(super) fn quantile(classes: &[u32; CLASSES], share: f64) -> Option<f32> {
    let all: u64 = classes.iter().map(|count| u64::from(*count)).sum();
    if all == 0 {
        return None;
    }
    let (mut left, mut low) = (share * all as f64, 0.0);
    for (bound, count) in BOUNDS.into_iter().zip(classes) {
        let count = f64::from(*count);
        if left <= count {
            return Some((low + (bound - low) * left / count) as f32);
        }
        left -= count;
        low = bound;
    }
    Some(low as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_below_a_place_within_its_class() {
        let mut classes = [0; CLASSES];
        assert_eq!(quantile(&classes, 0.5), None);
        // From 1 to 2.5 ms, and beyond all bounds.
        classes[2] = 4;
        assert_eq!(quantile(&classes, 0.5), Some(0.001_75));
        assert_eq!(quantile(&classes, 1.0), Some(0.002_5));
        classes[CLASSES - 1] = 4;
        assert_eq!(quantile(&classes, 0.5), Some(0.002_5));
        assert_eq!(quantile(&classes, 0.99), Some(60.0));
    }

    #[test]
    fn a_duration_counts_in_the_first_class_that_it_fits_in() {
        let durations = Durations::default();
        for milliseconds in [0, 1, 2, 60_000, 60_001] {
            durations.add(Duration::from_millis(milliseconds));
        }
        let counts = durations.counts();
        assert_eq!(counts.len(), BOUNDS.len() + 1);
        let counted: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(
            counted,
            [
                (0.0005, 1),
                (0.001, 1),
                (0.0025, 1),
                (60.0, 1),
                (f64::INFINITY, 1)
            ]
        );
        assert_eq!(durations.sum(), Duration::from_millis(120_004));
    }
}

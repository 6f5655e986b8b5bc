//! How long to wait before the next try to reach a server.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// The first delay after a connection was lost, its jitter (up to as much again) not counted.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// The longest.
const LONGEST_DELAY: Duration = Duration::from_secs(15);
/// A connection that has lasted this long was a good one: the delays begin anew.
const GOOD_CONNECTION: Duration = Duration::from_secs(30);

/// Growing, jittered delays.
#[derive(Debug)]
pub(in crate::trigger) struct Delays(ExponentialBackoff);

impl Delays {
    pub(in crate::trigger) fn new() -> Self {
        let builder = ExponentialBuilder::new()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LONGEST_DELAY);
        Self(builder.with_jitter().without_max_times().build())
    }

    pub(in crate::trigger) fn next(&mut self) -> Duration {
        self.0.next().unwrap_or(LONGEST_DELAY)
    }

    /// After a connection that has lasted this long: a server that accepts and hangs up at once is not asked ever faster.
    pub(in crate::trigger) fn lasted(&mut self, duration: Duration) {
        if duration >= GOOD_CONNECTION {
            *self = Self::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_only_a_good_connection_resets_them() {
        let mut delays = Delays::new();
        for _ in 0..12 {
            delays.next();
        }
        delays.lasted(Duration::from_secs(1));
        assert!(delays.next() >= LONGEST_DELAY);
        assert!(delays.next() <= 2 * LONGEST_DELAY);
        delays.lasted(GOOD_CONNECTION);
        assert!(delays.next() <= 2 * FIRST_DELAY);
    }
}

//! Delays before the next try.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use super::launcher::{LaunchError, LaunchErrorKind};

/// The first delay after a failure.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest delay, the jitter (up to as much again) not counted: together, five minutes.
const LONGEST_DELAY: Duration = Duration::from_secs(150);
/// However long the other side asks to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(3600);
/// For a port that another process has; it may go at any time.
const FIRST_PORT_DELAY: Duration = Duration::from_millis(25);
/// With its jitter, two seconds.
const LONGEST_PORT_DELAY: Duration = Duration::from_secs(1);

/// Growing, jittered delays, until it is reset.
#[derive(Debug, Default)]
pub(crate) struct Backoff(
    /// From the first error: most apps have none.
    Option<Box<Delays>>,
);

#[derive(Debug)]
struct Delays {
    failure: ExponentialBackoff,
    port: ExponentialBackoff,
}

impl Backoff {
    pub(crate) fn new() -> Backoff {
        Backoff::default()
    }

    /// What was wrong has changed, or is over.
    pub(crate) fn reset(&mut self) {
        *self = Backoff::new();
    }

    /// How long to wait after this error.
    pub(crate) fn after(&mut self, error: &LaunchError) -> Duration {
        let begun = || {
            Box::new(Delays {
                failure: delays(FIRST_DELAY, LONGEST_DELAY),
                port: delays(FIRST_PORT_DELAY, LONGEST_PORT_DELAY),
            })
        };
        let both = self.0.get_or_insert_with(begun);
        let (delays, longest) = match error.kind {
            LaunchErrorKind::AddressInUse => (&mut both.port, LONGEST_PORT_DELAY),
            LaunchErrorKind::Other => (&mut both.failure, LONGEST_DELAY),
        };
        let delay = delays.next().unwrap_or(longest);
        delay.max(error.retry_after.unwrap_or_default().min(LONGEST_WISH))
    }
}

fn delays(first: Duration, longest: Duration) -> ExponentialBackoff {
    let builder = ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(longest);
    builder.with_jitter().without_max_times().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_five_minutes_and_begin_anew_after_a_reset() {
        let mut backoff = Backoff::new();
        let error = LaunchError::other("x");
        let delays: Vec<_> = (0..20).map(|_| backoff.after(&error)).collect();
        assert!(delays[0] >= FIRST_DELAY && delays[0] <= 2 * FIRST_DELAY);
        assert!(delays[3] > delays[0]);
        assert!(
            delays.iter().all(|delay| *delay <= Duration::from_secs(300)),
            "{delays:?}"
        );
        assert!(delays[19] >= LONGEST_DELAY);
        backoff.reset();
        assert!(backoff.after(&error) <= 2 * FIRST_DELAY);
    }

    #[test]
    fn a_taken_port_is_tried_every_two_seconds_at_least() {
        let mut backoff = Backoff::new();
        let error = LaunchError {
            kind: LaunchErrorKind::AddressInUse,
            ..LaunchError::other("x")
        };
        assert!((0..20).all(|_| backoff.after(&error) <= Duration::from_secs(2)));
    }

    #[test]
    fn the_other_side_may_ask_for_more_time_within_reason() {
        let asked = |wish| Backoff::new().after(&LaunchError::other("x").retry_after(Some(wish)));
        assert_eq!(asked(Duration::from_secs(90)), Duration::from_secs(90));
        assert_eq!(asked(Duration::from_secs(90_000)), LONGEST_WISH);
    }
}

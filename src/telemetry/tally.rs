//! Counts of what may happen often, each told once in a while.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often something has happened since it was told.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    untold: u64,
    told: Option<Instant>,
}

impl Tally {
    /// How often one count is told.
    pub(crate) const INTERVAL: Duration = Duration::from_secs(60);

    /// Counts one. When it is time to tell: how many there were since the last time.
    pub(crate) fn add(&self) -> Option<u64> {
        self.add_at(Instant::now())
    }

    pub(crate) fn add_at(&self, now: Instant) -> Option<u64> {
        // Nothing panics while it is held.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.untold += 1;
        let is_time = state
            .told
            .is_none_or(|told| now.duration_since(told) >= Self::INTERVAL);
        is_time.then(|| {
            state.told = Some(now);
            std::mem::take(&mut state.untold)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_together() {
        let (tally, start) = (Tally::default(), Instant::now());
        assert_eq!(tally.add_at(start), Some(1));
        assert_eq!(tally.add_at(start + Tally::INTERVAL / 3), None);
        assert_eq!(tally.add_at(start + Tally::INTERVAL / 2), None);
        assert_eq!(tally.add_at(start + Tally::INTERVAL), Some(3));
        assert_eq!(tally.add_at(start + Tally::INTERVAL), None);
    }
}

//! What came in the last minutes, in steps.
//!
//! One task reads the atomics at the end of each step, so that no request knows of it. An app has steps from its first request
//! on, and gives them up when nothing is in any of them.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use super::durations::{CLASSES, quantile};
use super::kinds::StatusClass;
use super::numbers::Numbers;

/// How long a step is meant to be.
pub const STEP: Duration = Duration::from_secs(5);
/// How many are kept: ten minutes, which take 4 KiB of each app that has any.
pub const STEPS: usize = 120;

/// What came in one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its end, in seconds since 1970.
    pub until: u32,
    /// How long it was, in seconds: a busy machine is late.
    pub seconds: f32,
    /// Requests that began.
    pub requests: u32,
    /// Requests that ended with a status of 500 or more.
    pub failed: u32,
    /// At its end.
    pub in_flight: u32,
    /// Of the requests that ended; `None` if there were none.
    pub latency: Option<Latency>,
}

/// How long requests took, in seconds, as if durations were spread evenly in their class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    pub median: f32,
    pub p99: f32,
}

/// When a step ends, and how long it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: SystemTime,
    pub(super) since: Duration,
}

/// The steps of one app.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// What had been counted at the end of the last step. Numbers wrap: their differences are right.
    counted: Counted,
    steps: Steps,
}

/// The last steps, oldest first.
#[derive(Debug, Default)]
pub(super) struct Steps {
    steps: VecDeque<Step>,
    /// How many of the last ones had nothing.
    quiet: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    requests: u32,
    failed: u32,
    durations: [u32; CLASSES],
}

/// What happened in a step.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Change {
    requests: u32,
    failed: u32,
    in_flight: u32,
    durations: [u32; CLASSES],
}

impl Recent {
    /// A step ends. Answers with what happened in it.
    pub(super) fn end_step(&mut self, numbers: &Numbers, moment: Moment) -> Change {
        let counted = Counted::of(numbers);
        let change = counted.since(&self.counted, numbers.in_flight());
        self.counted = counted;
        self.steps.add(&change, moment);
        change
    }

    pub(super) fn steps(&self) -> &Steps {
        &self.steps
    }
}

impl Steps {
    pub(super) fn add(&mut self, change: &Change, moment: Moment) {
        let is_quiet = change.is_nothing();
        if is_quiet && self.steps.is_empty() {
            return;
        }
        self.quiet = if is_quiet { self.quiet + 1 } else { 0 };
        if self.quiet == STEPS {
            *self = Self::default();
            return;
        }
        if self.steps.len() == STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(change.step(moment));
    }

    pub(super) fn all(&self) -> Vec<Step> {
        self.steps.iter().cloned().collect()
    }
}

impl Counted {
    fn of(numbers: &Numbers) -> Self {
        let (_, failed) = numbers.ended()[StatusClass::ServerError as usize];
        Self {
            requests: numbers.requests() as u32,
            failed: failed as u32,
            durations: numbers.durations().classes().map(|count| count as u32),
        }
    }

    fn since(&self, before: &Self, in_flight: u64) -> Change {
        // A request that turned out to be another app's is taken back.
        let begun = self.requests.wrapping_sub(before.requests) as i32;
        let mut durations = self.durations;
        for (now, before) in durations.iter_mut().zip(before.durations) {
            *now = now.wrapping_sub(before);
        }
        Change {
            requests: begun.max(0) as u32,
            failed: self.failed.wrapping_sub(before.failed),
            in_flight: in_flight.try_into().unwrap_or(u32::MAX),
            durations,
        }
    }
}

impl Change {
    /// Another app's, in the same step.
    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.in_flight = self.in_flight.saturating_add(other.in_flight);
        for (sum, count) in self.durations.iter_mut().zip(other.durations) {
            *sum += count;
        }
    }

    fn is_nothing(&self) -> bool {
        self.requests == 0 && self.in_flight == 0 && self.durations.iter().all(|count| *count == 0)
    }

    fn step(&self, moment: Moment) -> Step {
        let until = moment.now.duration_since(SystemTime::UNIX_EPOCH);
        Step {
            // A clock before 1970 has been set to nothing, and one after 2106 has other troubles.
            until: until.unwrap_or_default().as_secs() as u32,
            seconds: moment.since.as_secs_f32(),
            requests: self.requests,
            failed: self.failed,
            in_flight: self.in_flight,
            latency: quantile(&self.durations, 0.5)
                .zip(quantile(&self.durations, 0.99))
                .map(|(median, p99)| Latency { median, p99 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A step ends that lasted as long as it is meant to.
    fn end_step(recent: &mut Recent, numbers: &Numbers, number: u64) {
        let moment = Moment {
            now: SystemTime::UNIX_EPOCH + STEP * number as u32,
            since: STEP,
        };
        recent.end_step(numbers, moment);
    }

    #[test]
    fn each_step_has_what_happened_in_it() {
        let (numbers, mut recent) = (Numbers::new(), Recent::default());
        end_step(&mut recent, &numbers, 1);
        assert_eq!(recent.steps().all(), [], "nothing has happened");
        for _ in 0..3 {
            numbers.begin();
        }
        numbers.end(StatusClass::Success, Instant::now());
        numbers.end(StatusClass::ServerError, Instant::now());
        end_step(&mut recent, &numbers, 2);
        end_step(&mut recent, &numbers, 3);
        numbers.end(StatusClass::ClientError, Instant::now());
        // It was another app's.
        numbers.begin();
        numbers.unbegin();
        end_step(&mut recent, &numbers, 4);
        let seen = recent.steps().all();
        let seen: Vec<_> = seen
            .iter()
            .map(|step| {
                (
                    step.until,
                    step.requests,
                    step.failed,
                    step.in_flight,
                    step.latency.is_some(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [(10, 3, 1, 1, true), (15, 0, 0, 1, false), (20, 0, 0, 0, true)]
        );
    }

    #[test]
    fn so_many_are_kept_and_none_of_an_app_that_is_idle() {
        let (numbers, mut recent) = (Numbers::new(), Recent::default());
        let busy = 2 * STEPS as u64;
        for number in 1..=busy {
            numbers.begin();
            numbers.end(StatusClass::Success, Instant::now());
            end_step(&mut recent, &numbers, number);
        }
        assert_eq!(recent.steps().all().len(), STEPS);
        let of_one = recent.steps.steps.capacity() * size_of::<Step>();
        assert!(of_one <= 4 << 10, "{of_one} bytes");
        for number in 1..STEPS as u64 {
            end_step(&mut recent, &numbers, busy + number);
        }
        let seen = recent.steps().all();
        assert_eq!((seen.len(), seen[0].requests), (STEPS, 1));
        end_step(&mut recent, &numbers, busy + STEPS as u64);
        assert_eq!(recent.steps.steps.capacity(), 0);

        numbers.begin();
        end_step(&mut recent, &numbers, busy + STEPS as u64 + 1);
        let seen = recent.steps().all();
        assert_eq!((seen.len(), seen[0].requests), (1, 1), "it is not counted again");
    }
}

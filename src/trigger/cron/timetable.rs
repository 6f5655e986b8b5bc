//! Which instants of some schedules are to be fired: each once, and none that is past when the app comes.

use chrono::{DateTime, TimeDelta, Utc};

use super::schedule::Schedule;

/// How late an instant may be noticed while the host is busy. Older ones are passed over, but for the one that was waited
/// for.
const LATE: TimeDelta = TimeDelta::seconds(1);
/// A wall clock that is set back by more than this is believed: instants come again. By less, they do not.
const SET_BACK: TimeDelta = TimeDelta::seconds(60);

/// What has been fired so far.
#[derive(Debug)]
pub(super) struct Timetable {
    /// Every instant up to here has been fired, or is past.
    done: DateTime<Utc>,
}

/// The next instant, and which of the schedules have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) instant: DateTime<Utc>,
    pub(super) schedules: Vec<usize>,
}

impl Timetable {
    /// One that begins now.
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self { done: now }
    }

    pub(super) fn next<'a>(&self, schedules: impl IntoIterator<Item = &'a Schedule>) -> Option<Next> {
        let mut next: Option<Next> = None;
        for (index, schedule) in schedules.into_iter().enumerate() {
            let Some(instant) = schedule.next_after(self.done) else {
                continue;
            };
            match &mut next {
                Some(next) if next.instant < instant => {}
                Some(next) if next.instant == instant => next.schedules.push(index),
                _ => {
                    next = Some(Next {
                        instant,
                        schedules: vec![index],
                    });
                }
            }
        }
        next
    }

    /// `instant` has been fired.
    pub(super) fn fired(&mut self, instant: DateTime<Utc>, now: DateTime<Utc>) {
        self.done = instant.max(now - LATE);
    }

    /// The schedules have changed while `awaited` was the next instant. When it is due and has not been fired, it is for the
    /// new schedules to say; anything older is past for them.
    pub(super) fn changed(&mut self, awaited: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        let past = match awaited {
            // Instants are whole seconds: this leaves it, and nothing else.
            Some(due) if due <= now => due - TimeDelta::seconds(1),
            _ => now,
        };
        self.done = self.done.max(past);
        self.look_at(now);
    }

    /// Notices a clock that was set back.
    pub(super) fn look_at(&mut self, now: DateTime<Utc>) {
        if now + SET_BACK < self.done {
            self.done = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn schedules<const N: usize>(expressions: [&str; N]) -> [Schedule; N] {
        expressions.map(|expression| Schedule::parse(expression, Tz::UTC).unwrap())
    }

    #[test]
    fn schedules_that_meet_are_fired_together() {
        let schedules = schedules(["*/2 * * * * *", "*/3 * * * * *", "30 * * * * *"]);
        let mut timetable = Timetable::new(at(0));
        let mut fired = Vec::new();
        for _ in 0..4 {
            let next = timetable.next(&schedules).unwrap();
            timetable.fired(next.instant, next.instant);
            fired.push(((next.instant - at(0)).num_seconds(), next.schedules));
        }
        assert_eq!(fired, [(2, vec![0]), (3, vec![1]), (4, vec![0]), (6, vec![0, 1])]);
    }

    #[test]
    fn an_instant_that_was_fired_is_not_fired_by_the_next_version() {
        let schedules = schedules(["* * * * * *"]);
        let mut timetable = Timetable::new(at(0));
        timetable.fired(at(1), at(1));
        timetable.changed(Some(at(2)), at(1) + TimeDelta::milliseconds(1));
        assert_eq!(timetable.next(&schedules).unwrap().instant, at(2));
    }

    #[test]
    fn an_instant_that_is_due_at_a_change_is_fired_by_the_next_version() {
        let schedules = schedules(["* * * * * *"]);
        let mut timetable = Timetable::new(at(0));
        timetable.changed(Some(at(1)), at(1) + TimeDelta::milliseconds(1));
        assert_eq!(timetable.next(&schedules).unwrap().instant, at(1));
    }

    #[test]
    fn a_new_schedule_does_not_make_up_for_what_was_before_it() {
        let every_second = schedules(["* * * * * *"]);
        let mut timetable = Timetable::new(at(0));
        timetable.changed(Some(at(3600)), at(600));
        assert_eq!(timetable.next(&every_second).unwrap().instant, at(601));
    }

    #[test]
    fn after_a_pause_what_was_missed_is_passed_over() {
        let every_second = schedules(["* * * * * *"]);
        let mut timetable = Timetable::new(at(0));
        timetable.fired(at(1), at(600));
        assert_eq!(timetable.next(&every_second).unwrap().instant, at(600));
        // But a busy moment loses nothing.
        timetable.fired(at(600), at(600) + TimeDelta::milliseconds(1900));
        assert_eq!(timetable.next(&every_second).unwrap().instant, at(601));
    }

    #[test]
    fn a_clock_that_is_set_back_is_followed_when_it_is_set_far() {
        let every_second = schedules(["* * * * * *"]);
        let mut timetable = Timetable::new(at(0));
        timetable.look_at(at(-10));
        assert_eq!(timetable.next(&every_second).unwrap().instant, at(1));
        timetable.look_at(at(-3600));
        assert_eq!(timetable.next(&every_second).unwrap().instant, at(-3599));
    }
}

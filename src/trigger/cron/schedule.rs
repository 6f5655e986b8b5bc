//! A schedule's expression and the instants that it stands for.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};

/// An expression in a time zone.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    expression: String,
    cron: Cron,
    timezone: Tz,
}

impl Schedule {
    /// The dialect of the plug-in: six fields, the seconds first, no year; a day matches when both its fields do.
    pub(super) fn parse(expression: &str, timezone: Tz) -> Result<Self, CronError> {
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Disallowed)
            .dom_and_dow(true)
            // The plug-in's older parser takes `0/10` for `0-59/10`.
            .sloppy_ranges(true);
        let cron = parser.build().parse(expression)?;
        Ok(Self {
            expression: expression.to_owned(),
            cron,
            timezone,
        })
    }

    /// The first instant after `time`, a whole second; `None` when there is none in this era.
    pub(super) fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = time.with_timezone(&self.timezone);
        let next = self.cron.find_next_occurrence(&local, false).ok()?;
        Some(next.with_timezone(&Utc))
    }

    pub(super) fn expression(&self) -> &str {
        &self.expression
    }

    pub(super) fn timezone(&self) -> Tz {
        self.timezone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_in(expression: &str, timezone: Tz, after: &str) -> String {
        let schedule = Schedule::parse(expression, timezone).unwrap();
        let after = DateTime::parse_from_rfc3339(after).unwrap().to_utc();
        let next = schedule.next_after(after).unwrap();
        next.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
    }

    fn next(expression: &str, after: &str) -> String {
        next_in(expression, Tz::UTC, after)
    }

    #[test]
    fn the_first_field_is_the_second() {
        assert_eq!(
            next("5 * * * * *", "2026-01-01T00:00:00Z"),
            "2026-01-01T00:00:05Z"
        );
        assert_eq!(
            next("*/2 * * * * *", "2026-01-01T00:00:00Z"),
            "2026-01-01T00:00:02Z"
        );
    }

    #[test]
    fn an_instant_is_not_its_own_next() {
        assert_eq!(
            next("* * * * * *", "2026-01-01T00:00:00Z"),
            "2026-01-01T00:00:01Z"
        );
        assert_eq!(
            next("* * * * * *", "2026-01-01T00:00:00.5Z"),
            "2026-01-01T00:00:01Z"
        );
    }

    #[test]
    fn days_of_the_week_begin_with_sunday_as_zero() {
        // 2026-01-01 is a Thursday.
        assert_eq!(
            next("0 0 0 * * 0", "2026-01-01T00:00:00Z"),
            "2026-01-04T00:00:00Z"
        );
        assert_eq!(
            next("0 0 0 * * 1", "2026-01-01T00:00:00Z"),
            "2026-01-05T00:00:00Z"
        );
        assert_eq!(
            next("0 0 0 * * SUN", "2026-01-01T00:00:00Z"),
            "2026-01-04T00:00:00Z"
        );
    }

    #[test]
    fn a_day_matches_when_both_of_its_fields_do() {
        // The first Friday, 13th.
        assert_eq!(
            next("0 0 0 13 * 5", "2026-01-01T00:00:00Z"),
            "2026-02-13T00:00:00Z"
        );
    }

    #[test]
    fn a_start_with_a_step_runs_to_the_end_of_the_range() {
        assert_eq!(
            next("10/20 * * * * *", "2026-01-01T00:00:10Z"),
            "2026-01-01T00:00:30Z"
        );
        assert_eq!(
            next("0/10 * * * * *", "2026-01-01T00:00:41Z"),
            "2026-01-01T00:00:50Z"
        );
    }

    #[test]
    fn five_and_seven_fields_are_refused() {
        for expression in ["* * * * *", "* * * * * * *", "", "x * * * * *", "60 * * * * *"] {
            assert!(Schedule::parse(expression, Tz::UTC).is_err(), "{expression}");
        }
    }

    #[test]
    fn what_never_comes_has_no_next() {
        let schedule = Schedule::parse("0 0 0 30 2 *", Tz::UTC).unwrap();
        assert_eq!(schedule.next_after(Utc::now()), None);
    }

    #[test]
    fn a_time_zone_moves_the_schedule_with_its_summer() {
        let berlin = Tz::Europe__Berlin;
        assert_eq!(
            next_in("0 0 9 * * *", berlin, "2026-01-01T00:00:00Z"),
            "2026-01-01T08:00:00Z"
        );
        assert_eq!(
            next_in("0 0 9 * * *", berlin, "2026-07-01T00:00:00Z"),
            "2026-07-01T07:00:00Z"
        );
    }
}

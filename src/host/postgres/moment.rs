//! Dates and times: days and microseconds on PostgreSQL's clock to the parts that a guest sees, and back.
//!
//! With the calendar's arithmetic done here, every date that PostgreSQL has is had: before the common era, and millions of
//! years after it.

use super::value::{Date, Datetime, Time};

const DAYS_IN_ERA: i64 = 146_097;
const YEARS_IN_ERA: i64 = 400;
/// From the first of March of the year 0, where an era of the arithmetic begins, to PostgreSQL's day 0, 2000-01-01.
const EPOCH_FROM_MARCH_0: i64 = 730_425;
/// Seconds from 1970-01-01 to 2000-01-01.
const UNIX_TO_EPOCH_SECONDS: i64 = 946_684_800;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
const NANOS_PER_MICRO: u32 = 1_000;
const NANOS_PER_SECOND: u32 = 1_000_000_000;

/// `infinity` and `-infinity`, or what is in no calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfRange;

/// `days` since 2000-01-01.
pub(super) fn date_of(days: i32) -> Result<Date, OutOfRange> {
    if days == i32::MAX || days == i32::MIN {
        return Err(OutOfRange);
    }
    civil(i64::from(days))
}

/// `micros` since midnight; a day ends with 24:00:00.
pub(super) fn time_of(micros: i64) -> Result<Time, OutOfRange> {
    if !(0..=MICROS_PER_DAY).contains(&micros) {
        return Err(OutOfRange);
    }
    let seconds = micros / MICROS_PER_SECOND;
    let part = |value: i64| u8::try_from(value).map_err(|_| OutOfRange);
    let nanos = u32::try_from(micros % MICROS_PER_SECOND).map_err(|_| OutOfRange)? * NANOS_PER_MICRO;
    Ok((
        part(seconds / 3600)?,
        part(seconds / 60 % 60)?,
        part(seconds % 60)?,
        nanos,
    ))
}

/// `micros` since 2000-01-01 00:00:00.
pub(super) fn datetime_of(micros: i64) -> Result<Datetime, OutOfRange> {
    if micros == i64::MAX || micros == i64::MIN {
        return Err(OutOfRange);
    }
    let (year, month, day) = civil(micros.div_euclid(MICROS_PER_DAY))?;
    let (hour, minute, second, nanos) = time_of(micros.rem_euclid(MICROS_PER_DAY))?;
    Ok((year, month, day, hour, minute, second, nanos))
}

/// Days since 2000-01-01; `None` for a date that is in no calendar.
pub(super) fn days(date: Date) -> Option<i32> {
    let (year, month, day) = date;
    if !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return None;
    }
    // Years are counted from March, so that the day which comes and goes is the last.
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(YEARS_IN_ERA);
    let year = year.rem_euclid(YEARS_IN_ERA);
    let month = i64::from((month + 9) % 12);
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year * 365 + year / 4 - year / 100 + day_of_year;
    i32::try_from(era * DAYS_IN_ERA + day_of_era - EPOCH_FROM_MARCH_0).ok()
}

/// Microseconds since midnight. What is finer is cut off; a second may be a leap second.
pub(super) fn micros(time: Time) -> Option<i64> {
    let (hour, minute, second, nanos) = time;
    let end_of_day = time == (24, 0, 0, 0);
    let leap = second == 59 && nanos < 2 * NANOS_PER_SECOND;
    let in_day = hour < 24 && minute < 60 && second < 60 && (nanos < NANOS_PER_SECOND || leap);
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    (in_day || end_of_day).then(|| seconds * MICROS_PER_SECOND + i64::from(nanos / NANOS_PER_MICRO))
}

/// Microseconds since 2000-01-01 00:00:00.
pub(super) fn datetime_micros(datetime: Datetime) -> Option<i64> {
    let (year, month, day, hour, minute, second, nanos) = datetime;
    let days = i64::from(days((year, month, day))?);
    let time = (hour < 24).then_some((hour, minute, second, nanos))?;
    days.checked_mul(MICROS_PER_DAY)?.checked_add(micros(time)?)
}

/// The same of seconds since 1970.
pub(super) fn timestamp_micros(seconds: i64) -> Option<i64> {
    seconds
        .checked_sub(UNIX_TO_EPOCH_SECONDS)?
        .checked_mul(MICROS_PER_SECOND)
}

fn days_in(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn civil(days: i64) -> Result<Date, OutOfRange> {
    let days = days + EPOCH_FROM_MARCH_0;
    let era = days.div_euclid(DAYS_IN_ERA);
    let day_of_era = days.rem_euclid(DAYS_IN_ERA);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year + era * YEARS_IN_ERA + i64::from(month <= 2);
    Ok((
        i32::try_from(year).map_err(|_| OutOfRange)?,
        u8::try_from(month).map_err(|_| OutOfRange)?,
        u8::try_from(day).map_err(|_| OutOfRange)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates_and_back() {
        for (number, date) in [
            (0, (2000, 1, 1)),
            (59, (2000, 2, 29)),
            (60, (2000, 3, 1)),
            (-1, (1999, 12, 31)),
            (-10_957, (1970, 1, 1)),
            (8_091, (2022, 2, 25)),
            // 4714-11-24 BC, the first day of PostgreSQL's calendar.
            (-2_451_545, (-4713, 11, 24)),
            // 0044-03-15 BC.
            (-746_117, (-43, 3, 15)),
            // The last date that PostgreSQL has.
            (2_145_031_948, (5_874_897, 12, 31)),
        ] {
            assert_eq!(date_of(number), Ok(date));
            assert_eq!(days(date), Some(number));
        }
    }

    #[test]
    fn every_day_of_eight_centuries_survives() {
        for number in -200_000..100_000 {
            assert_eq!(days(date_of(number).unwrap()), Some(number));
        }
    }

    #[test]
    fn infinity_is_no_date() {
        assert_eq!(date_of(i32::MAX), Err(OutOfRange));
        assert_eq!(date_of(i32::MIN), Err(OutOfRange));
        assert_eq!(datetime_of(i64::MAX), Err(OutOfRange));
        assert_eq!(datetime_of(i64::MIN), Err(OutOfRange));
    }

    #[test]
    fn dates_that_are_in_no_calendar_are_refused() {
        for date in [
            (2023, 2, 29),
            (1900, 2, 29),
            (2024, 0, 1),
            (2024, 13, 1),
            (2024, 4, 31),
            (2024, 1, 0),
        ] {
            assert_eq!(days(date), None, "{date:?}");
        }
        assert_eq!(days((i32::MAX, 1, 1)), None);
        assert_eq!(days((i32::MIN, 1, 1)), None);
    }

    #[test]
    fn times_are_exact_to_the_microsecond() {
        assert_eq!(time_of(0), Ok((0, 0, 0, 0)));
        assert_eq!(time_of(86_399_999_999), Ok((23, 59, 59, 999_999_000)));
        assert_eq!(time_of(86_400_000_000), Ok((24, 0, 0, 0)));
        assert_eq!(time_of(-1), Err(OutOfRange));
        assert_eq!(micros((12, 34, 56, 789_012_345)), Some(45_296_789_012));
        assert_eq!(micros((24, 0, 0, 0)), Some(86_400_000_000));
        assert_eq!(micros((23, 59, 59, 1_000_000_000)), Some(86_400_000_000));
        for time in [
            (24, 0, 0, 1),
            (25, 0, 0, 0),
            (0, 60, 0, 0),
            (0, 0, 60, 0),
            (0, 0, 0, 1_000_000_000),
        ] {
            assert_eq!(micros(time), None, "{time:?}");
        }
    }

    #[test]
    fn moments_before_the_epoch_count_down() {
        assert_eq!(datetime_of(-1), Ok((1999, 12, 31, 23, 59, 59, 999_999_000)));
        assert_eq!(datetime_micros((1999, 12, 31, 23, 59, 59, 999_999_000)), Some(-1));
        assert_eq!(timestamp_micros(0), datetime_micros((1970, 1, 1, 0, 0, 0, 0)));
        assert_eq!(timestamp_micros(i64::MIN), None);
        assert_eq!(datetime_micros((i32::MAX / 2, 1, 1, 0, 0, 0, 0)), None);
        assert_eq!(datetime_micros((2024, 1, 1, 24, 0, 0, 0)), None);
    }
}

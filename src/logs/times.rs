//! The times of lines, in RFC 3339 and all of one length: what a line begins with in files that have times.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};

/// As in `2026-11-29T23:30:07.562Z`.
const LENGTH: usize = 24;

pub(super) fn text(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A line, and what stands before it.
pub(super) fn prefix(time: SystemTime) -> String {
    format!("{} ", text(time))
}

/// The time that a line begins with, and the line behind it; there is none before lines that were written without.
pub(super) fn split(line: &[u8]) -> (Option<String>, &[u8]) {
    let time = line.split_at_checked(LENGTH).and_then(|(time, rest)| {
        let time = std::str::from_utf8(time).ok()?;
        DateTime::parse_from_rfc3339(time).ok()?;
        Some((time.to_owned(), rest.strip_prefix(b" ")?))
    });
    match time {
        Some((time, rest)) => (Some(time), rest),
        None => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_found_where_one_was_written() {
        let written = prefix(SystemTime::now());
        assert_eq!(written.len(), LENGTH + 1);
        for rest in ["", "a line", " indented", &written] {
            let line = format!("{written}{rest}");
            let (time, found) = split(line.as_bytes());
            assert_eq!(
                (time.as_deref(), found),
                (written.strip_suffix(' '), rest.as_bytes())
            );
        }
        for line in [
            "",
            "a line of a guest, without a time",
            "2026-13-29T23:30:07.562Z x",
            "2026-11-29T23:30:07.562Zx",
        ] {
            assert_eq!(split(line.as_bytes()), (None, line.as_bytes()));
        }
    }
}

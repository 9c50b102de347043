//! Times as clients write and read them.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, SubsecRound};

use crate::waitlist::LATEST_YEAR;

/// Reads a time in ISO 8601: with an offset, or else in UTC. `None` if it is none, or one that not all
/// databases can keep.
pub fn parse(text: &str) -> Option<NaiveDateTime> {
    let with_offset = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.naive_utc());
    let without = || {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    };
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let time = with_offset().or_else(without).or_else(day)?.trunc_subsecs(6);
    (1970..=LATEST_YEAR).contains(&time.year()).then_some(time)
}

/// A time in ISO 8601 and UTC, in microseconds.
#[must_use]
pub fn show(time: NaiveDateTime) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_in_several_forms() {
        for (text, shown) in [
            ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00.000000Z"),
            ("2026-11-24T10:00:00.1234567+02:00", "2026-11-24T08:00:00.123456Z"),
            ("2026-11-24T10:00:00-07:00", "2026-11-24T17:00:00.000000Z"),
            ("2026-11-24T10:00:00.5", "2026-11-24T10:00:00.500000Z"),
            ("2026-11-24 10:00:00", "2026-11-24T10:00:00.000000Z"),
            ("2026-11-24", "2026-11-24T00:00:00.000000Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(parse(text).map(show).as_deref(), Some(shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "soon",
            "2026-02-30T00:00:00Z",
            "2026-11-24T25:00:00Z",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59-01:00",
            "10000-01-01T00:00:00Z",
            "2026-11-24T10:00:00Zx",
            "1700000000",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

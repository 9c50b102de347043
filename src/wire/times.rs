//! Reads and writes times in ISO 8601, such as `2024-01-31T10:00:00Z`.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, SubsecRound, TimeDelta, Timelike};

/// The last year that all databases can store.
const LATEST_YEAR: i32 = 9999;

/// Reads a time such as `2024-01-31T10:00:00Z`, `2024-01-31T10:00` or `2024-01-31`. A time without an offset is in
/// UTC. Returns None if the text is no time, or if the year is not from 1970 to 9999, since not all databases can
/// store other years.
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

/// Formats a time in UTC with microseconds: `2024-01-31T10:00:00.000000Z`.
#[must_use]
pub fn show(time: NaiveDateTime) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Formats a time in UTC with milliseconds: `2024-01-31T10:00:00.000Z`.
#[must_use]
pub fn show_millis(time: NaiveDateTime) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Reads a time whose last parts may be missing: `3000` is the start of the year 3000. A time without an offset is
/// in UTC. Returns None if the text is no time, or if the year is after 9999. A time before 1970 becomes the start
/// of 1970, since not all databases can store earlier times.
pub fn parse_partial(text: &str) -> Option<NaiveDateTime> {
    let (local, east) = split_zone(text)?;
    if !local.is_ascii() || !local.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let rest = match local.len() {
        length @ (4 | 7 | 10 | 13 | 16) => &"0000-01-01T00:00:00"[length..],
        _ => "",
    };
    let whole = format!("{local}{rest}");
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let time = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(&whole, form).ok())?;
    // The leap second `23:59:60` becomes the next second, since databases cannot store leap seconds.
    let time = time
        .with_nanosecond(time.nanosecond() % NANOS)?
        .checked_add_signed(TimeDelta::seconds(i64::from(time.nanosecond() / NANOS)))?;
    let time = time.checked_sub_signed(east)?.trunc_subsecs(6);
    (time.year() <= LATEST_YEAR).then_some(time.max(DateTime::UNIX_EPOCH.naive_utc()))
}

const NANOS: u32 = 1_000_000_000;

/// Splits a time into the local time and the offset of its zone, positive to the east. Without a zone, the offset is
/// 0. A dash in the first ten characters (the date) is no sign of an offset. Returns None if the zone is malformed.
fn split_zone(text: &str) -> Option<(&str, TimeDelta)> {
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return (local.len() > 10).then_some((local, TimeDelta::zero()));
    }
    let Some(sign) = text.rfind(['+', '-']).filter(|place| *place > 10) else {
        return Some((text, TimeDelta::zero()));
    };
    let (local, zone) = (text.get(..sign)?, text.get(sign + 1..)?);
    let digits = zone.replacen(':', "", 1);
    let is_zone = matches!(zone.len(), 2 | 4 | 5) && zone.find(':').is_none_or(|place| place == 2);
    if !is_zone || !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = digits.get(2..).filter(|rest| !rest.is_empty()).map_or(Some(0), |m| m.parse().ok())?;
    let east = TimeDelta::minutes(hours * 60 + minutes);
    (hours < 24 && minutes < 60)
        .then_some((local, if text.as_bytes().get(sign) == Some(&b'-') { -east } else { east }))
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

    #[test]
    fn times_may_end_early() {
        for (text, shown) in [
            ("3000", "3000-01-01T00:00:00.000Z"),
            ("3000-02", "3000-02-01T00:00:00.000Z"),
            ("3000-02-03", "3000-02-03T00:00:00.000Z"),
            ("3000-02-03T04", "3000-02-03T04:00:00.000Z"),
            ("3000-02-03T04:05", "3000-02-03T04:05:00.000Z"),
            ("3000-02-03T04:05:06", "3000-02-03T04:05:06.000Z"),
            ("3000-02-03 04:05:06.789", "3000-02-03T04:05:06.789Z"),
            ("3000-02-03T04:05:06.789123Z", "3000-02-03T04:05:06.789Z"),
            ("3000-02-03T04:05Z", "3000-02-03T04:05:00.000Z"),
            ("3000-02-03T04:05:06+02:00", "3000-02-03T02:05:06.000Z"),
            ("3000-02-03T04:05:06-0730", "3000-02-03T11:35:06.000Z"),
            ("3000-02-03T04:05:06+02", "3000-02-03T02:05:06.000Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
            ("0001", "1970-01-01T00:00:00.000Z"),
            ("2024-02-29", "2024-02-29T00:00:00.000Z"),
        ] {
            assert_eq!(parse_partial(text).map(show_millis).as_deref(), Some(shown), "{text}");
        }
    }

    #[test]
    fn what_ends_in_no_time_is_refused() {
        for text in [
            "",
            "never",
            "30",
            "3000-",
            "3000-1",
            "3000-13",
            "3000-00",
            "3000-02-30",
            "2023-02-29",
            "3000-02-03T",
            "3000-02-03T24",
            "3000-02-03T04:60",
            "3000-02-03T04:05:61",
            "10000",
            "+3000",
            "-3000",
            "3000Z",
            "3000+02:00",
            "3000-02-03Z",
            "3000-02-03T04:05:06+2",
            "3000-02-03T04:05:06+24:00",
            "3000-02-03T04:05:06+02:60",
            "3000-02-03T04:05:06+0:200",
            "3000-02-03T04:05:06ZZ",
            "3000-02-03T04:05:06 ",
            " 3000",
            "3000\u{0660}",
            "\u{0663}000",
            "9999-12-31T23:59:59-01:00",
            "1700000000",
        ] {
            assert_eq!(parse_partial(text), None, "{text}");
        }
    }
}

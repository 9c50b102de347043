//! The host's wall clock. All other code asks it here, so that each use of a clock that may be set is known.

use std::time::SystemTime;

use chrono::{DateTime, NaiveDateTime, Utc};

/// The time of this host.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "all other code asks this function")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// The same in UTC.
#[must_use]
pub fn utc() -> NaiveDateTime {
    DateTime::<Utc>::from(now()).naive_utc()
}

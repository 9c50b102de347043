//! The host's wall clock. A lint forbids other code to read the clock directly, so all uses of the clock are
//! calls of this module.

use std::time::SystemTime;

use chrono::{DateTime, NaiveDateTime, Utc};

/// Returns the present time of this host.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "all other code asks this function")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// Returns the present time of this host in UTC.
#[must_use]
pub fn utc() -> NaiveDateTime {
    DateTime::<Utc>::from(now()).naive_utc()
}

//! The host's clocks. A lint forbids other code to read the wall clock directly, so all uses of that
//! clock are calls of this module.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDateTime, Utc};
use rustix::time::{ClockId, clock_gettime};

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

/// Returns the time since the host's boot, including the time that the host was suspended. Nobody can set
/// this clock.
pub fn up() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = ClockId::Boottime;
    // On other systems, the monotonic clock also counts the time that the host was suspended.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = ClockId::Monotonic;
    let time = clock_gettime(clock);
    // Neither the seconds nor the nanoseconds can be negative.
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

//! The time of day, in a form that tests can set.

use chrono::NaiveDateTime;

use crate::store;

/// Tells the time of day.
pub trait Clock: Send + Sync {
    /// Now, in UTC and in microseconds, which is what all databases can keep. It may jump.
    fn now(&self) -> NaiveDateTime;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> NaiveDateTime {
        store::now()
    }
}

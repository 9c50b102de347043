//! The metrics of the picture (the in-memory copy of all providers): its delays, and its differences from the
//! database.

use std::sync::LazyLock;

use prometheus::{Histogram, IntCounter};

use super::{SECONDS, counter, histogram};

/// The histogram bounds for very short times, in seconds.
const MOMENTS: [f64; 10] = [1e-6, 1e-5, 1e-4, 2.5e-4, 5e-4, 0.001, 0.01, 0.1, 1.0, 10.0];

/// The time of one refresh, in seconds. A refresh reads changed providers from the database and changes the
/// picture.
pub static REFRESH: LazyLock<Histogram> = LazyLock::new(|| {
    let help = "Time that the picture of the fleet took to catch up with writes.";
    histogram("allotment_fleet_refresh_seconds", help, &SECONDS)
});

/// The number of providers that differed between the picture and the database in the recurring comparison.
pub static MENDED: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Resource providers that differed between the picture of the fleet and the database, and were read again.";
    counter("allotment_fleet_mended_total", help)
});

/// The time for which a change waited until the picture was unlocked, in seconds.
pub static CHANGE_WAIT: LazyLock<Histogram> = LazyLock::new(|| {
    let help =
        "Time for which a change waited for other changes and for readers, before the picture showed it.";
    histogram("allotment_fleet_change_wait_seconds", help, &MOMENTS)
});

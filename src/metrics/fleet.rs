//! Metrics of the picture of the fleet: its delays and its differences from the database.

use std::sync::LazyLock;

use prometheus::{Histogram, IntCounter};

use super::{SECONDS, counters, histograms};

/// Bounds for very short times.
const MOMENTS: [f64; 10] = [1e-6, 1e-5, 1e-4, 2.5e-4, 5e-4, 0.001, 0.01, 0.1, 1.0, 10.0];

/// The time of a refresh, which reads back earlier writes and shows them.
pub static REFRESH: LazyLock<Histogram> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help = "Time that the picture of the fleet took to catch up with writes.";
    histograms("allotment_fleet_refresh_seconds", help, &SECONDS, none).with_label_values(none)
});

/// The number of providers that were found to differ between the picture and the database.
pub static MENDED: LazyLock<IntCounter> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help = "Resource providers that differed between the picture of the fleet and the database, and were read again.";
    counters("allotment_fleet_mended_total", help, none).with_label_values(none)
});

/// The time for which a change waited before the picture could show it.
pub static CHANGE_WAIT: LazyLock<Histogram> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help =
        "Time for which a change waited for other changes and for readers, before the picture showed it.";
    histograms("allotment_fleet_change_wait_seconds", help, &MOMENTS, none).with_label_values(none)
});

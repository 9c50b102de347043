//! The picture of the fleet: how long it takes to follow the database, and how often it was wrong.

use std::sync::LazyLock;

use prometheus::{Histogram, IntCounter};

use super::{SECONDS, counters, histograms};

/// Bounds for what should take next to no time.
const MOMENTS: [f64; 10] = [1e-6, 1e-5, 1e-4, 2.5e-4, 5e-4, 0.001, 0.01, 0.1, 1.0, 10.0];

/// How long a refresh took: what was written before is read back and shown.
pub static REFRESH: LazyLock<Histogram> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help = "How long the picture of the fleet took to catch up with what was written.";
    histograms("allotment_fleet_refresh_seconds", help, &SECONDS, none).with_label_values(none)
});

/// The number of providers that were found to differ between the picture and the database.
pub static MENDED: LazyLock<IntCounter> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help = "Resource providers that the picture of the fleet did not show as the database had them, and that were read again.";
    counters("allotment_fleet_mended_total", help, none).with_label_values(none)
});

/// How long a change waited before it could be shown in the picture.
pub static CHANGE_WAIT: LazyLock<Histogram> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help = "How long a change waited for other changes and for readers, before the picture showed it.";
    histograms("allotment_fleet_change_wait_seconds", help, &MOMENTS, none).with_label_values(none)
});

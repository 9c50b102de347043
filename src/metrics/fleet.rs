//! The picture of the fleet: how long it takes to follow the database.

use std::sync::LazyLock;

use prometheus::Histogram;

use super::{SECONDS, histograms};

/// How long a refresh took: what was written before is read back and shown.
pub static REFRESH: LazyLock<Histogram> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help = "How long the picture of the fleet took to catch up with what was written.";
    histograms("allotment_fleet_refresh_seconds", help, &SECONDS, none).with_label_values(none)
});

//! Metrics of the waitlist: the time from a turn to the answer of the request that waits for it.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{Histogram, HistogramVec};

use super::{SECONDS, histograms};

/// The event that woke a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WokenBy {
    /// A commit of this process.
    Commit,
    /// The timer, which looks for changes by other processes.
    Recheck,
}

static HAND_OFF: LazyLock<[Histogram; 2]> = LazyLock::new(|| {
    let all: HistogramVec = histograms(
        "allotment_waitlist_handoff_seconds",
        "Time from the moment a ticket became active to the answer of a request that waited for it, by the event that \
         woke the request: a commit of this process, or a recheck for changes by other processes.",
        &SECONDS,
        &["woken_by"],
    );
    ["commit", "recheck"].map(|name| all.with_label_values(&[name]))
});

/// Counts a turn that a request has waited for.
pub fn handed_off(woken_by: WokenBy, took: Duration) {
    HAND_OFF[woken_by as usize].observe(took.as_secs_f64());
}

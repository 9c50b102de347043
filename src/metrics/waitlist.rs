//! The metrics of the waitlist: the time from the activation of a ticket until the waiting request is
//! answered.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{Histogram, HistogramVec};

use super::{SECONDS, histograms};

/// The reason why a waiting request was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WokenBy {
    /// A transaction of this process has activated the ticket.
    Commit,
    /// The timer task has found that another process activated the ticket.
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

/// Records the time from the activation of a ticket until the waiting request was woken.
pub fn handed_off(woken_by: WokenBy, took: Duration) {
    HAND_OFF[woken_by as usize].observe(took.as_secs_f64());
}

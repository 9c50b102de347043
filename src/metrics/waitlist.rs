//! The waitlist: how long turns take to be known by those who wait for them.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{Histogram, HistogramVec};

use super::{SECONDS, histograms};

/// What had a waiter look whether it is its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WokenBy {
    /// A commit of this process.
    Commit,
    /// The timer, which looks at what other processes have changed.
    Recheck,
}

static HAND_OFF: LazyLock<[Histogram; 2]> = LazyLock::new(|| {
    let all: HistogramVec = histograms(
        "allotment_waitlist_handoff_seconds",
        "Time from a ticket's becoming active to the answer of a request that waited for it, by what woke it: a commit \
         of this process, or the recheck of what other processes changed.",
        &SECONDS,
        &["woken_by"],
    );
    ["commit", "recheck"].map(|name| all.with_label_values(&[name]))
});

/// Counts a turn that somebody had waited for.
pub fn handed_off(woken_by: WokenBy, took: Duration) {
    HAND_OFF[woken_by as usize].observe(took.as_secs_f64());
}

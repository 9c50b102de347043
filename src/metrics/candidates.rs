//! The metrics of searches for allocation candidates.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::{Histogram, IntCounterVec};

use super::{COUNTS, counters, histogram};

static VISITED: LazyLock<Histogram> = LazyLock::new(|| {
    histogram("allotment_candidates_visited", "Providers that a search for candidates tried.", &COUNTS)
});

static RETURNED: LazyLock<Histogram> =
    LazyLock::new(|| histogram("allotment_candidates_returned", "Candidates that a search found.", &COUNTS));

static ABANDONED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Searches and lists whose client went away, while they were running or waiting for a thread.";
    counters("allotment_searches_abandoned_total", help, &["state"])
});

/// Records the numbers of one finished search: the providers that were visited, and the candidates that were
/// found.
pub fn count(visited: u64, returned: usize) {
    // The numbers are small enough for an exact `f64`.
    #[expect(clippy::cast_precision_loss)]
    let (visited, returned) = (visited as f64, returned as f64);
    VISITED.observe(visited);
    RETURNED.observe(returned);
}

/// The numbers of waiting and of running searches. A request for a list of providers also counts as a search.
#[derive(Debug, Default)]
pub struct Searching {
    waiting: AtomicUsize,
    running: AtomicUsize,
}

impl Searching {
    /// Returns the number of searches that wait for a thread.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Returns the number of searches that run on a thread.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Records that a new search waits for a thread.
    pub fn come(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that a waiting search has got a thread.
    pub fn begin(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Records that the client of a waiting search has disconnected. The search is dropped.
    pub fn abandon_waiting(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        ABANDONED.with_label_values(&["waiting"]).inc();
    }

    /// Records that the client of a running search has disconnected. The search occupies its thread until
    /// [`Searching::end`].
    pub fn abandon_running(&self) {
        ABANDONED.with_label_values(&["running"]).inc();
    }

    /// Records that a running search has ended.
    pub fn end(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

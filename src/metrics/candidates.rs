//! Metrics of searches for candidates.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::{Histogram, IntCounterVec};

use super::{COUNTS, counters, histograms};

static VISITED: LazyLock<Histogram> =
    LazyLock::new(|| plain("allotment_candidates_visited", "Providers that a search for candidates tried."));

static RETURNED: LazyLock<Histogram> =
    LazyLock::new(|| plain("allotment_candidates_returned", "Candidates that a search found."));

static ABANDONED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Searches and lists whose client went away, while they were running or waiting for a thread.";
    counters("allotment_searches_abandoned_total", help, &["state"])
});

fn plain(name: &str, help: &str) -> Histogram {
    let none: &[&str] = &[];
    histograms(name, help, &COUNTS, none).with_label_values(none)
}

/// Counts a search.
pub fn count(visited: u64, returned: usize) {
    // Both numbers are far below the largest exact float.
    #[expect(clippy::cast_precision_loss)]
    let (visited, returned) = (visited as f64, returned as f64);
    VISITED.observe(visited);
    RETURNED.observe(returned);
}

/// How many searches and lists of one service are under way.
#[derive(Debug, Default)]
pub struct Searching {
    waiting: AtomicUsize,
    running: AtomicUsize,
}

impl Searching {
    /// How many searches wait for a thread.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many searches have a thread.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// A search comes and waits for a thread.
    pub fn come(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// A search that waited has a thread.
    pub fn begin(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// The client of a search that waited for a thread has gone.
    pub fn abandon_waiting(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        ABANDONED.with_label_values(&["waiting"]).inc();
    }

    /// The client of a search that had a thread has gone. The search keeps the thread until it ends.
    pub fn abandon_running(&self) {
        ABANDONED.with_label_values(&["running"]).inc();
    }

    /// A search that had a thread has ended.
    pub fn end(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

//! Searches for candidates: what they looked at and what they found.

use std::sync::LazyLock;

use prometheus::Histogram;

use super::{COUNTS, histograms};

static VISITED: LazyLock<Histogram> =
    LazyLock::new(|| plain("allotment_candidates_visited", "Providers that a search for candidates tried."));

static RETURNED: LazyLock<Histogram> =
    LazyLock::new(|| plain("allotment_candidates_returned", "Candidates that a search found."));

fn plain(name: &str, help: &str) -> Histogram {
    let none: &[&str] = &[];
    histograms(name, help, &COUNTS, none).with_label_values(none)
}

/// Counts a search.
pub fn count(visited: u64, returned: usize) {
    // Far below where a float loses count.
    #[expect(clippy::cast_precision_loss)]
    let (visited, returned) = (visited as f64, returned as f64);
    VISITED.observe(visited);
    RETURNED.observe(returned);
}

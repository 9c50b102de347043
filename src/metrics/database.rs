//! Connections and transactions.

use std::sync::LazyLock;

use prometheus::{Histogram, IntCounter, IntCounterVec};

use super::{SECONDS, counters, histograms};

/// How long the work of a request waited for a connection.
pub static CHECKOUT: LazyLock<Histogram> = LazyLock::new(|| {
    let none: &[&str] = &[];
    histograms(
        "allotment_database_checkout_seconds",
        "How long work waited for a database connection; nothing where one was idle.",
        &SECONDS,
        none,
    )
    .with_label_values(none)
});

/// How often none came free in time.
pub static TIMEOUTS: LazyLock<IntCounter> = LazyLock::new(|| {
    let none: &[&str] = &[];
    counters("allotment_database_checkout_timeouts_total", "Waits for a connection that were given up.", none)
        .with_label_values(none)
});

/// How often a connection was found to have ended.
pub static LOST: LazyLock<IntCounter> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help =
        "Database connections that were found to have ended: idle ones, and those that work was done on.";
    counters("allotment_database_connections_lost_total", help, none).with_label_values(none)
});

static RETRIES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "allotment_database_retries_total",
        "Conflicts inside transactions, by what was written: run again, or given up.",
        &["transaction", "outcome"],
    )
});

/// Counts a conflict inside a transaction: whether it is run again, or given up.
pub fn retried(transaction: &str, again: bool) {
    RETRIES.with_label_values(&[transaction, if again { "again" } else { "given_up" }]).inc();
}

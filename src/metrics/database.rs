//! The metrics of database connections and transactions.

use std::sync::LazyLock;

use prometheus::{Histogram, IntCounter, IntCounterVec};

use super::{SECONDS, counter, counters, histogram};

/// The time for which work waited for a database connection, in seconds.
pub static CHECKOUT: LazyLock<Histogram> = LazyLock::new(|| {
    let help = "Time for which work waited for a database connection; 0 where one was idle.";
    histogram("allotment_database_checkout_seconds", help, &SECONDS)
});

/// The number of times that a wait for a connection exceeded its time limit.
pub static TIMEOUTS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("allotment_database_checkout_timeouts_total", "Waits for a connection that were given up.")
});

/// The number of connections that had ended, or were dropped because they had probably ended.
pub static LOST: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Database connections that were found to have ended, while idle or in use.";
    counter("allotment_database_connections_lost_total", help)
});

static RETRIES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "allotment_database_retries_total",
        "Conflicts inside transactions, by the name of the transaction: run again, or given up.",
        &["transaction", "outcome"],
    )
});

/// Counts one conflict of a transaction with another transaction. `again` is true if the transaction runs
/// again, and false if it has failed too often.
pub fn retried(transaction: &str, again: bool) {
    RETRIES.with_label_values(&[transaction, if again { "again" } else { "given_up" }]).inc();
}

//! Metrics of the change feed between the replicas of the service.

use std::sync::LazyLock;

use prometheus::IntCounter;

use super::counter;

/// The number of times that this replica has asked for the changes by other replicas.
pub static LOOKS: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Times that this process asked the database for the changes by other replicas.";
    counter("allotment_feed_looks_total", help)
});

/// The number of transactions of other replicas that this replica has read.
pub static ENTRIES: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Transactions of other replicas that this process has read from the change feed.";
    counter("allotment_feed_entries_total", help)
});

/// The number of times that everything was read again, because entries may have been deleted before they were read.
pub static RELOADS: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Times that this process fell behind the change feed and read everything again.";
    counter("allotment_feed_reloads_total", help)
});

/// The number of hints that this replica has sent.
pub static HINTS_SENT: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Hints to other replicas that the waitlist has changed.";
    counter("allotment_feed_hints_sent_total", help)
});

/// The number of hints that this replica has received.
pub static HINTS_RECEIVED: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Hints of other replicas that the waitlist has changed.";
    counter("allotment_feed_hints_received_total", help)
});

/// The number of marks of other programs that this replica has read.
pub static MARKS: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Rows that programs other than replicas have written, as the triggers of database.foreign_writers tell.";
    counter("allotment_feed_marks_total", help)
});

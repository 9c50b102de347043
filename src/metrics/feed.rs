//! Metrics of the change feed between the replicas of the service.

use std::sync::LazyLock;

use prometheus::IntCounter;

use super::counters;

/// The number of times that this replica has asked for the changes by other replicas.
pub static LOOKS: LazyLock<IntCounter> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help = "Times that this process asked the database for the changes by other replicas.";
    counters("allotment_feed_looks_total", help, none).with_label_values(none)
});

/// The number of transactions of other replicas that this replica has read.
pub static ENTRIES: LazyLock<IntCounter> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help = "Transactions of other replicas that this process has read from the change feed.";
    counters("allotment_feed_entries_total", help, none).with_label_values(none)
});

/// The number of times that everything was read again, because entries may have been deleted before they were read.
pub static RELOADS: LazyLock<IntCounter> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help = "Times that this process fell behind the change feed and read everything again.";
    counters("allotment_feed_reloads_total", help, none).with_label_values(none)
});

/// The number of hints that this replica has sent.
pub static HINTS_SENT: LazyLock<IntCounter> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help = "Hints to other replicas that the waitlist has changed.";
    counters("allotment_feed_hints_sent_total", help, none).with_label_values(none)
});

/// The number of hints that this replica has received.
pub static HINTS_RECEIVED: LazyLock<IntCounter> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help = "Hints of other replicas that the waitlist has changed.";
    counters("allotment_feed_hints_received_total", help, none).with_label_values(none)
});

/// The number of marks of other programs that this replica has read.
pub static MARKS: LazyLock<IntCounter> = LazyLock::new(|| {
    let none: &[&str] = &[];
    let help = "Rows that programs other than replicas have written, as the triggers of database.foreign_writers tell.";
    counters("allotment_feed_marks_total", help, none).with_label_values(none)
});

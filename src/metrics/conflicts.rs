//! The metrics of requests that were refused with status 409, by the cause of the conflict.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec};

use super::counters;

/// The cause of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// The client stated a wrong generation of a provider.
    ResourceProvider,
    /// The client stated a wrong generation of a consumer.
    Consumer,
    /// An amount did not fit into the capacity of a provider.
    Capacity,
    /// Any other cause, for example a name that already exists.
    Other,
}

static CONFLICTS: LazyLock<[IntCounter; 4]> = LazyLock::new(|| {
    let all: IntCounterVec = counters(
        "allotment_conflicts_total",
        "Requests refused because of a conflict (409), by its subject.",
        &["entity"],
    );
    ["resource_provider", "consumer", "capacity", "other"].map(|name| all.with_label_values(&[name]))
});

/// Counts one refused request.
pub fn count(entity: Entity) {
    CONFLICTS[entity as usize].inc();
}

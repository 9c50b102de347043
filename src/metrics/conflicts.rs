//! Metrics of conflicts (409), by subject.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec};

use super::counters;

/// The subject of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// The generation of a provider.
    ResourceProvider,
    /// The generation of a consumer.
    Consumer,
    /// An amount that does not fit.
    Capacity,
    /// Another thing that is in use or exists already.
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

/// Counts a conflict.
pub fn count(entity: Entity) {
    CONFLICTS[entity as usize].inc();
}

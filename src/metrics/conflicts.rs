//! Conflicts that clients were told of, by what they are about.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec};

use super::counters;

/// What a conflict is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// The generation of a provider.
    ResourceProvider,
    /// The generation of a consumer.
    Consumer,
    /// Amounts that do not fit any more.
    Capacity,
    /// Something else that is in use or exists.
    Other,
}

static CONFLICTS: LazyLock<[IntCounter; 4]> = LazyLock::new(|| {
    let all: IntCounterVec = counters(
        "allotment_conflicts_total",
        "Requests refused because of a conflict (409), by what it is about.",
        &["entity"],
    );
    ["resource_provider", "consumer", "capacity", "other"].map(|name| all.with_label_values(&[name]))
});

/// Counts a conflict.
pub fn count(entity: Entity) {
    CONFLICTS[entity as usize].inc();
}

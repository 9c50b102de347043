//! Diesel queries, a file per noun; each takes a connection, its caller owns the transaction.

pub mod aggregates;
pub mod allocations;
pub mod consumers;
pub mod fleet;
pub mod generation;
pub mod inventories;
pub mod resource_classes;
pub mod resource_providers;
pub mod standard;
pub mod traits;
pub mod usages;

use chrono::{NaiveDateTime, SubsecRound, Utc};

/// How many values go into one `IN (…)`: SQLite takes 32,766 binds, and short lists plan faster.
const CHUNK: usize = 1_000;

/// The time as rows store it: UTC, in microseconds, which is what all databases can keep.
pub fn now() -> NaiveDateTime {
    Utc::now().naive_utc().trunc_subsecs(6)
}

/// Runs a query for `values` in pieces that every database takes, and joins the rows.
fn chunked<V, R, E>(values: &[V], mut query: impl FnMut(&[V]) -> Result<Vec<R>, E>) -> Result<Vec<R>, E> {
    let mut rows = Vec::new();
    for chunk in values.chunks(CHUNK) {
        rows.extend(query(chunk)?);
    }
    Ok(rows)
}

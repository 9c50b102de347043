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
pub mod waitlist_queues;
pub mod waitlist_tickets;

use chrono::{NaiveDateTime, SubsecRound, Utc};

/// How many values go into one `IN (…)`.
const CHUNK: usize = crate::db::LONGEST_LIST;

/// The time as rows store it: UTC, in microseconds, which is what all databases can keep.
pub fn now() -> NaiveDateTime {
    Utc::now().naive_utc().trunc_subsecs(6)
}

/// A provider's generation and what it has of one kind; `None` when there is no such provider.
pub type OfProvider<R> = Option<(i32, Vec<R>)>;

/// Gathers rows that each repeat the provider, whose uuid is compared as a string, case and all.
fn of_provider<R>(rows: Vec<(String, Option<i32>, Option<R>)>, uuid: &str) -> OfProvider<R> {
    let generation = rows.iter().find(|(stored, ..)| stored == uuid)?.1.unwrap_or(0);
    Some((generation, rows.into_iter().filter_map(|(_, _, row)| row).collect()))
}

/// Loads a query that has a list of values. Typed for each database, since PostgreSQL then takes the
/// list as one value, so that the statement is prepared once and not for each length anew.
macro_rules! load_list {
    ($conn:expr, $query:expr) => {
        $crate::db::on_backend!($conn, c => $query.load(c))
    };
}
use load_list;

/// Runs a query for `values` in pieces that every database takes, and joins the rows.
fn chunked<V, R, E>(values: &[V], mut query: impl FnMut(&[V]) -> Result<Vec<R>, E>) -> Result<Vec<R>, E> {
    let mut rows = Vec::new();
    for chunk in values.chunks(CHUNK) {
        rows.extend(query(chunk)?);
    }
    Ok(rows)
}

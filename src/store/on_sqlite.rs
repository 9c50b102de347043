//! Reads that need a special statement on SQLite.

use diesel::dsl::max;
use diesel::prelude::*;

use crate::db::functions::{coalesce, string_agg};
use crate::db::schema::{allocations as alloc, resource_providers as rp, traits};

use super::allocations::{FIELD, allocation_line, allocation_time, with_allocations};
use super::joined_rows::{JoinedRows, SEPARATOR};
use super::known_traits::KnownTraits;
use super::traits::{trait_time, with_traits};
use super::{Found, now};

/// Returns the allocations from a provider. Returns None if the provider does not exist.
pub fn allocations(conn: &mut SqliteConnection, uuid: &str) -> QueryResult<Option<JoinedRows>> {
    let line = allocation_line(FIELD);
    let row = with_allocations(uuid).select((
        max(rp::id),
        max(rp::generation),
        string_agg(line.nullable(), SEPARATOR).aggregate_order(alloc::id.nullable()),
        // An allocation without a time counts as created now.
        max(coalesce(allocation_time(), Some(now()))),
    ));
    Ok(row.get_result(conn).found()?.and_then(JoinedRows::of_row))
}

/// Returns the names of a provider's traits. The cache is not used, since SQLite may reuse a row id.
pub fn trait_names(
    conn: &mut SqliteConnection,
    _: &KnownTraits,
    uuid: &str,
) -> QueryResult<Option<JoinedRows>> {
    let row = with_traits(uuid).select((
        max(rp::id),
        max(rp::generation),
        string_agg(traits::name.nullable(), SEPARATOR).aggregate_order(traits::id.nullable()),
        // A trait without a time counts as created now.
        max(coalesce(trait_time(), Some(now()))),
    ));
    Ok(row.get_result(conn).found()?.and_then(JoinedRows::of_row))
}

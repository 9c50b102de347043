//! Reads that need a special statement on PostgreSQL.

use diesel::dsl::{array, max};
use diesel::prelude::*;

use crate::db::functions::{any, array_agg, coalesce, string_agg};
use crate::db::schema::{
    allocations as alloc, resource_provider_traits as rpt, resource_providers as rp, traits,
};
use crate::ids::{Generation, ProviderId, TraitId};

use super::allocations::{FIELD, allocation_line, allocation_time, with_allocations};
use super::joined_rows::{JoinedRows, SEPARATOR};
use super::known_traits::{ById, KnownTraits};
use super::{Found, now};

/// Returns the allocations from a provider. Returns None if the provider does not exist.
pub fn allocations(conn: &mut PgConnection, uuid: &str) -> QueryResult<Option<JoinedRows>> {
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

/// Returns the names of a provider's traits. The query reads only row ids, since `known` has nearly all names.
pub fn trait_names(
    conn: &mut PgConnection,
    known: &KnownTraits,
    uuid: &str,
) -> QueryResult<Option<JoinedRows>> {
    let ids = rpt::table.filter(rpt::resource_provider_id.eq(rp::id)).order(rpt::trait_id);
    let columns = (rp::generation, array(ids.select(rpt::trait_id)));
    let found: Option<(Option<Generation>, Vec<TraitId>)> =
        rp::table.filter(rp::uuid.eq(uuid)).select(columns).get_result(conn).found()?;
    let named = |(generation, ids): (Option<Generation>, Vec<TraitId>)| {
        known.names(generation.unwrap_or_default(), &ids, || find_traits(conn, &ids))
    };
    found.map(named).transpose()
}

fn find_traits(conn: &mut PgConnection, ids: &[TraitId]) -> QueryResult<ById> {
    let changed_at = coalesce(traits::updated_at, traits::created_at);
    let columns = (traits::id, (traits::name, changed_at));
    let rows: Vec<(TraitId, _)> = traits::table.filter(traits::id.eq(any(ids))).select(columns).load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Returns the row ids of the providers that have traits, each with the row ids of the provider's traits.
pub fn trait_ids(
    conn: &mut PgConnection,
    providers: &[ProviderId],
) -> QueryResult<Vec<(ProviderId, Vec<TraitId>)>> {
    rpt::table
        .filter(rpt::resource_provider_id.eq(any(providers)))
        .group_by(rpt::resource_provider_id)
        .select((rpt::resource_provider_id, array_agg(rpt::trait_id)))
        .load(conn)
}

/// Returns the same as [`trait_ids`] for all providers with row ids from `first` to `last`.
pub fn trait_ids_between(
    conn: &mut PgConnection,
    first: ProviderId,
    last: ProviderId,
) -> QueryResult<Vec<(ProviderId, Vec<TraitId>)>> {
    rpt::table
        .filter(rpt::resource_provider_id.between(first, last))
        .group_by(rpt::resource_provider_id)
        .select((rpt::resource_provider_id, array_agg(rpt::trait_id)))
        .load(conn)
}

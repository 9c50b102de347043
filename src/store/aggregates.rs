//! Queries on aggregates (named groups of providers) and on the providers that are members of aggregates.

use diesel::prelude::*;

use crate::commit::{Part, Tx};
use crate::db::schema::{
    placement_aggregates as agg, resource_provider_aggregates as rpa, resource_providers as rp,
};
use crate::db::{DbConnection, on_backend};
use crate::ids::{Generation, ProviderId};

use super::{Found, OfProvider, load_typed, now};

/// Returns row id and uuid of each aggregate that a provider is a member of, in the order of row ids.
pub fn list_by_provider(
    conn: &mut DbConnection,
    provider_id: ProviderId,
) -> QueryResult<Vec<(i32, Option<String>)>> {
    rpa::table
        .inner_join(agg::table.on(agg::id.eq(rpa::aggregate_id)))
        .filter(rpa::resource_provider_id.eq(provider_id))
        .order(agg::id)
        .select((agg::id, agg::uuid))
        .load(conn)
}

/// Returns a provider's generation and the uuids of the provider's aggregates. Returns None for an unknown uuid.
pub fn list_by_provider_uuid(conn: &mut DbConnection, uuid: &str) -> QueryResult<OfProvider<String>> {
    let query = rp::table
        .left_join(rpa::table.on(rpa::resource_provider_id.eq(rp::id)))
        .left_join(agg::table.on(agg::id.eq(rpa::aggregate_id)))
        .filter(rp::uuid.eq(uuid))
        .order(agg::id)
        .select((rp::generation, agg::uuid.nullable()));
    let rows: QueryResult<Vec<(Option<Generation>, Option<String>)>> = load_typed!(conn, query);
    Ok(super::of_provider(rows.found()?.unwrap_or_default()))
}

/// Returns the aggregates out of `uuids` that exist. A returned uuid has the stored spelling, for example upper case.
pub fn stored_uuids(conn: &mut DbConnection, uuids: &[&str]) -> QueryResult<Vec<String>> {
    let found: Vec<Option<String>> = super::chunked(uuids, |chunk| {
        load_typed!(conn, agg::table.filter(agg::uuid.eq_any(chunk)).select(agg::uuid))
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// Returns the row ids of the aggregates with these uuids, sorted and without duplicates. Inserts an aggregate for
/// each unknown uuid. Two spellings that the database considers equal have one row id.
pub fn ensure(tx: &mut Tx, uuids: &[&str]) -> QueryResult<Vec<i32>> {
    let mut ids = Vec::with_capacity(uuids.len());
    // All writers insert aggregates in the order of uuids. So two writers of the same aggregates cannot deadlock.
    let mut sorted = uuids.to_vec();
    sorted.sort_unstable();
    for uuid in sorted {
        let known = agg::table.filter(agg::uuid.eq(uuid)).select(agg::id).get_result(tx.conn()).optional()?;
        let id = match known {
            Some(id) => id,
            None => {
                diesel::insert_into(agg::table)
                    .values((agg::uuid.eq(uuid), agg::created_at.eq(now())))
                    .execute(tx.conn())?;
                agg::table.filter(agg::uuid.eq(uuid)).select(agg::id).get_result(tx.conn())?
            }
        };
        ids.push(id);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Adds a provider to aggregates. The provider must not be a member of any of these aggregates yet.
pub fn associate(tx: &mut Tx, provider_id: ProviderId, ids: &[i32]) -> QueryResult<()> {
    tx.touch_provider(provider_id, Part::Whole);
    let created_at = now();
    for chunk in ids.chunks(super::CHUNK) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|id| {
                (
                    rpa::resource_provider_id.eq(provider_id),
                    rpa::aggregate_id.eq(*id),
                    rpa::created_at.eq(created_at),
                )
            })
            .collect();
        on_backend!(tx.conn(), c => diesel::insert_into(rpa::table).values(&rows).execute(c))?;
    }
    Ok(())
}

/// Removes a provider from aggregates.
pub fn dissociate(tx: &mut Tx, provider_id: ProviderId, ids: &[i32]) -> QueryResult<()> {
    tx.touch_provider(provider_id, Part::Whole);
    for chunk in ids.chunks(super::CHUNK) {
        let rows = rpa::table
            .filter(rpa::resource_provider_id.eq(provider_id))
            .filter(rpa::aggregate_id.eq_any(chunk));
        diesel::delete(rows).execute(tx.conn())?;
    }
    Ok(())
}

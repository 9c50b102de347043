//! Rows of aggregates and of their members.

use diesel::prelude::*;

use crate::commit::{Part, Tx};
use crate::db::schema::{
    placement_aggregates as agg, resource_provider_aggregates as rpa, resource_providers as rp,
};
use crate::db::{DbConnection, on_backend};

use super::{Found, OfProvider, load_typed, now};

/// Row ids and uuids of the aggregates that a provider is a member of, in the order of their ids.
pub fn list_by_provider(
    conn: &mut DbConnection,
    provider_id: i32,
) -> QueryResult<Vec<(i32, Option<String>)>> {
    rpa::table
        .inner_join(agg::table.on(agg::id.eq(rpa::aggregate_id)))
        .filter(rpa::resource_provider_id.eq(provider_id))
        .order(agg::id)
        .select((agg::id, agg::uuid))
        .load(conn)
}

/// A provider's generation and the uuids of the aggregates that it is a member of.
pub fn list_by_provider_uuid(conn: &mut DbConnection, uuid: &str) -> QueryResult<OfProvider<String>> {
    let query = rp::table
        .left_join(rpa::table.on(rpa::resource_provider_id.eq(rp::id)))
        .left_join(agg::table.on(agg::id.eq(rpa::aggregate_id)))
        .filter(rp::uuid.eq(uuid))
        .order(agg::id)
        .select((rp::generation, agg::uuid.nullable()));
    let rows: QueryResult<Vec<(Option<i32>, Option<String>)>> = load_typed!(conn, query);
    Ok(super::of_provider(rows.found()?.unwrap_or_default()))
}

/// The uuids, as they are stored, of the aggregates that exist among these.
pub fn stored_uuids(conn: &mut DbConnection, uuids: &[&str]) -> QueryResult<Vec<String>> {
    let found: Vec<Option<String>> = super::chunked(uuids, |chunk| {
        load_typed!(conn, agg::table.filter(agg::uuid.eq_any(chunk)).select(agg::uuid))
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// Row ids of these uuids; a uuid that is not known yet is inserted. Two spellings that the database takes
/// for the same have one id.
pub fn ensure(tx: &mut Tx, uuids: &[&str]) -> QueryResult<Vec<i32>> {
    let mut ids = Vec::with_capacity(uuids.len());
    // In one order for all writers, so that two that insert the same ones do not deadlock.
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

/// Makes a provider a member of aggregates that it was not in.
pub fn associate(tx: &mut Tx, provider_id: i32, ids: &[i32]) -> QueryResult<()> {
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

/// Takes a provider out of aggregates.
pub fn dissociate(tx: &mut Tx, provider_id: i32, ids: &[i32]) -> QueryResult<()> {
    tx.touch_provider(provider_id, Part::Whole);
    for chunk in ids.chunks(super::CHUNK) {
        let rows = rpa::table
            .filter(rpa::resource_provider_id.eq(provider_id))
            .filter(rpa::aggregate_id.eq_any(chunk));
        diesel::delete(rows).execute(tx.conn())?;
    }
    Ok(())
}

//! Queries on traits (qualities of providers, for example `HW_CPU_X86_VMX`) and on the traits of each provider.

use std::collections::HashSet;

use chrono::NaiveDateTime;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
use diesel::dsl::auto_type;
use diesel::prelude::*;

use crate::commit::{Part, Tx};
#[cfg(any(feature = "mysql", feature = "sqlite"))]
use crate::db::functions::coalesce;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
use crate::db::schema::resource_providers as rp;
use crate::db::schema::{resource_provider_traits as rpt, traits};
use crate::db::{DbConnection, on_backend};
use crate::ids::{ProviderId, TraitId};

use super::joined_rows::JoinedRows;
use super::known_traits::KnownTraits;
use super::{Found, by_database, now};

/// A trait.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct Trait {
    /// Row id. Standard traits have smaller row ids than custom traits.
    pub id: TraitId,
    /// The name, for example `CUSTOM_RAID`.
    pub name: String,
    /// The time of the creation.
    pub created_at: Option<NaiveDateTime>,
    /// The time of the last change.
    pub updated_at: Option<NaiveDateTime>,
}

const COLUMNS: (traits::id, traits::name, traits::created_at, traits::updated_at) =
    (traits::id, traits::name, traits::created_at, traits::updated_at);

/// Returns all traits, in the order of row ids.
pub fn list(conn: &mut DbConnection) -> QueryResult<Vec<Trait>> {
    traits::table.order(traits::id).select(COLUMNS).load(conn)
}

/// Returns the row ids of all traits that at least one provider has.
pub fn associated_ids(conn: &mut DbConnection) -> QueryResult<HashSet<TraitId>> {
    Ok(rpt::table.select(rpt::trait_id).distinct().load(conn)?.into_iter().collect())
}

/// Returns the trait with exactly this name.
pub fn find_by_name(conn: &mut DbConnection, name: &str) -> QueryResult<Option<Trait>> {
    let found: Option<Trait> =
        traits::table.filter(traits::name.eq(name)).select(COLUMNS).get_result(conn).found()?;
    // MariaDB ignores case in the query, but Placement finds a trait only by the stored upper-case name.
    Ok(found.filter(|t| t.name == name))
}

/// Returns the traits in `names` that exist, in the order of row ids.
pub fn find_by_names(conn: &mut DbConnection, names: &[&str]) -> QueryResult<Vec<Trait>> {
    let mut found: Vec<Trait> = super::chunked(names, |chunk| {
        traits::table.filter(traits::name.eq_any(chunk)).select(COLUMNS).load(conn)
    })?;
    let wanted: HashSet<&str> = names.iter().copied().collect();
    found.retain(|t| wanted.contains(t.name.as_str()));
    found.sort_by_key(|t| t.id);
    found.dedup_by_key(|t| t.id);
    Ok(found)
}

/// Returns a provider's generation and trait names, in the order of row ids. Returns None for an unknown uuid.
pub fn list_by_provider_uuid(
    conn: &mut DbConnection,
    known: &KnownTraits,
    uuid: &str,
) -> QueryResult<Option<JoinedRows>> {
    by_database!(conn, trait_names(known, uuid))
}

/// Builds a query: a provider, joined with the provider's traits.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
#[auto_type]
pub(super) fn with_traits<'a>(uuid: &'a str) -> _ {
    rp::table
        .left_join(rpt::table.on(rpt::resource_provider_id.eq(rp::id)))
        .left_join(traits::table.on(traits::id.eq(rpt::trait_id)))
        .filter(rp::uuid.eq(uuid))
}

/// Builds the SQL expression for the time of a trait's last change. An unchanged trait has the time of its creation.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
#[auto_type]
pub(super) fn trait_time() -> _ {
    coalesce(traits::updated_at.nullable(), traits::created_at.nullable())
}

/// Returns the row ids of a provider's traits.
pub fn ids_of_provider(conn: &mut DbConnection, provider_id: ProviderId) -> QueryResult<HashSet<TraitId>> {
    let found: Vec<TraitId> =
        rpt::table.filter(rpt::resource_provider_id.eq(provider_id)).select(rpt::trait_id).load(conn)?;
    Ok(found.into_iter().collect())
}

/// Returns true if at least one provider has the trait.
pub fn in_use(conn: &mut DbConnection, trait_id: TraitId) -> QueryResult<bool> {
    let found = rpt::table
        .filter(rpt::trait_id.eq(trait_id))
        .select(rpt::resource_provider_id)
        .first::<ProviderId>(conn);
    Ok(found.optional()?.is_some())
}

/// Inserts traits with these names.
pub fn insert(tx: &mut Tx, names: &[&str]) -> QueryResult<()> {
    tx.touch_names();
    let created_at = now();
    for chunk in names.chunks(super::CHUNK) {
        let rows: Vec<_> =
            chunk.iter().map(|name| (traits::name.eq(*name), traits::created_at.eq(created_at))).collect();
        on_backend!(tx.conn(), c => diesel::insert_into(traits::table).values(&rows).execute(c))?;
    }
    Ok(())
}

/// Deletes a trait. Returns the number of deleted rows.
pub fn delete(tx: &mut Tx, id: TraitId) -> QueryResult<usize> {
    tx.touch_names();
    diesel::delete(traits::table.filter(traits::id.eq(id))).execute(tx.conn())
}

/// Adds traits to a provider. The provider must not have any of these traits yet.
pub fn associate(tx: &mut Tx, provider_id: ProviderId, trait_ids: &[TraitId]) -> QueryResult<()> {
    tx.touch_provider(provider_id, Part::Whole);
    let created_at = now();
    for chunk in trait_ids.chunks(super::CHUNK) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|id| {
                (
                    rpt::resource_provider_id.eq(provider_id),
                    rpt::trait_id.eq(*id),
                    rpt::created_at.eq(created_at),
                )
            })
            .collect();
        on_backend!(tx.conn(), c => diesel::insert_into(rpt::table).values(&rows).execute(c))?;
    }
    Ok(())
}

/// Removes traits from a provider.
pub fn dissociate(tx: &mut Tx, provider_id: ProviderId, trait_ids: &[TraitId]) -> QueryResult<()> {
    tx.touch_provider(provider_id, Part::Whole);
    for chunk in trait_ids.chunks(super::CHUNK) {
        let rows =
            rpt::table.filter(rpt::resource_provider_id.eq(provider_id)).filter(rpt::trait_id.eq_any(chunk));
        diesel::delete(rows).execute(tx.conn())?;
    }
    Ok(())
}

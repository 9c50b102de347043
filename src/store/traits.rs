//! Rows of traits and of the traits that providers have.

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

use super::joined_rows::JoinedRows;
use super::known_traits::KnownTraits;
use super::{Found, by_database, now};

/// A trait.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct Trait {
    /// Row id; standard traits have the lower ones.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created_at: Option<NaiveDateTime>,
    /// When it was last changed.
    pub updated_at: Option<NaiveDateTime>,
}

const COLUMNS: (traits::id, traits::name, traits::created_at, traits::updated_at) =
    (traits::id, traits::name, traits::created_at, traits::updated_at);

/// All traits, in the order of their ids.
pub fn list(conn: &mut DbConnection) -> QueryResult<Vec<Trait>> {
    traits::table.order(traits::id).select(COLUMNS).load(conn)
}

/// The ids of all traits that some provider has.
pub fn associated_ids(conn: &mut DbConnection) -> QueryResult<HashSet<i32>> {
    Ok(rpt::table.select(rpt::trait_id).distinct().load(conn)?.into_iter().collect())
}

/// The trait of this name.
pub fn find_by_name(conn: &mut DbConnection, name: &str) -> QueryResult<Option<Trait>> {
    let found: Option<Trait> =
        traits::table.filter(traits::name.eq(name)).select(COLUMNS).get_result(conn).found()?;
    // Names of traits are upper-case, and no other spelling of one names it, as Placement has it.
    Ok(found.filter(|t| t.name == name))
}

/// The traits among `names` that exist, in the order of their ids.
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

/// The names of a provider's traits, in the order of their ids.
pub fn list_by_provider_uuid(
    conn: &mut DbConnection,
    known: &KnownTraits,
    uuid: &str,
) -> QueryResult<Option<JoinedRows>> {
    by_database!(conn, trait_names(known, uuid))
}

/// A provider with its traits.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
#[auto_type]
pub(super) fn with_traits<'a>(uuid: &'a str) -> _ {
    rp::table
        .left_join(rpt::table.on(rpt::resource_provider_id.eq(rp::id)))
        .left_join(traits::table.on(traits::id.eq(rpt::trait_id)))
        .filter(rp::uuid.eq(uuid))
}

/// The time of a trait's change or creation.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
#[auto_type]
pub(super) fn trait_time() -> _ {
    coalesce(traits::updated_at.nullable(), traits::created_at.nullable())
}

/// The traits of a provider, in the order of their ids.
pub fn list_by_provider(conn: &mut DbConnection, provider_id: i32) -> QueryResult<Vec<Trait>> {
    rpt::table
        .inner_join(traits::table.on(traits::id.eq(rpt::trait_id)))
        .filter(rpt::resource_provider_id.eq(provider_id))
        .order(traits::id)
        .select(COLUMNS)
        .load(conn)
}

/// Whether any provider has the trait.
pub fn in_use(conn: &mut DbConnection, trait_id: i32) -> QueryResult<bool> {
    let found =
        rpt::table.filter(rpt::trait_id.eq(trait_id)).select(rpt::resource_provider_id).first::<i32>(conn);
    Ok(found.optional()?.is_some())
}

/// Inserts traits.
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

/// Deletes a trait; returns the number of deleted rows.
pub fn delete(tx: &mut Tx, id: i32) -> QueryResult<usize> {
    tx.touch_names();
    diesel::delete(traits::table.filter(traits::id.eq(id))).execute(tx.conn())
}

/// Gives a provider traits that it did not have.
pub fn associate(tx: &mut Tx, provider_id: i32, trait_ids: &[i32]) -> QueryResult<()> {
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

/// Takes traits from a provider.
pub fn dissociate(tx: &mut Tx, provider_id: i32, trait_ids: &[i32]) -> QueryResult<()> {
    tx.touch_provider(provider_id, Part::Whole);
    for chunk in trait_ids.chunks(super::CHUNK) {
        let rows =
            rpt::table.filter(rpt::resource_provider_id.eq(provider_id)).filter(rpt::trait_id.eq_any(chunk));
        diesel::delete(rows).execute(tx.conn())?;
    }
    Ok(())
}

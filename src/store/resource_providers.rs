//! Queries on resource providers and on the trees of providers.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::commit::{Part, Tx};
use crate::db::schema::{
    inventories, resource_provider_aggregates as rpa, resource_provider_traits as rpt,
    resource_providers as rp,
};
use crate::db::{DbConnection, Kind, on_backend};
use crate::ids::{Generation, ProviderId};

use super::{Found, load_typed, now};

/// A resource provider, joined with the root of the provider's tree and with the parent.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct ResourceProvider {
    /// Row id.
    pub id: ProviderId,
    /// The uuid that clients use.
    pub uuid: String,
    /// The name, which is unique. None only in rows of old databases.
    pub name: Option<String>,
    /// The generation. None only in rows of old databases.
    pub generation: Option<Generation>,
    /// Row id of the tree's root, which is the provider's own row id for a root.
    pub root_id: ProviderId,
    /// The uuid of the tree's root.
    pub root_uuid: String,
    /// Row id of the parent. None for a root.
    pub parent_id: Option<ProviderId>,
    /// The uuid of the parent. None for a root.
    pub parent_uuid: Option<String>,
    /// The time of the creation.
    pub created_at: Option<NaiveDateTime>,
    /// The time of the last change.
    pub updated_at: Option<NaiveDateTime>,
}

/// Row id and generation of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderKey {
    /// Row id.
    pub id: ProviderId,
    /// The generation.
    pub generation: Generation,
}

impl ResourceProvider {
    /// Returns the generation. A row without a generation counts as 0.
    pub fn generation(&self) -> Generation {
        self.generation.unwrap_or_default()
    }
}

mod aliases {
    //! Two aliases of the table of providers: for the rows of roots, and for the rows of parents.
    #![allow(missing_docs, reason = "the macro writes items that carry no documentation")]
    use crate::db::schema::resource_providers;

    diesel::alias!(resource_providers as root_row: RootRow, resource_providers as parent_row: ParentRow);
}
use aliases::{parent_row, root_row};

/// Builds the query for the columns of [`ResourceProvider`].
macro_rules! full_rows {
    () => {
        rp::table
            .inner_join(root_row.on(rp::root_provider_id.eq(root_row.field(rp::id).nullable())))
            .left_join(parent_row.on(rp::parent_provider_id.eq(parent_row.field(rp::id).nullable())))
            .select((
                rp::id,
                rp::uuid,
                rp::name,
                rp::generation,
                root_row.field(rp::id),
                root_row.field(rp::uuid),
                parent_row.field(rp::id).nullable(),
                parent_row.field(rp::uuid).nullable(),
                rp::created_at,
                rp::updated_at,
            ))
    };
}

/// Returns the provider with this uuid.
pub fn find_by_uuid(conn: &mut DbConnection, uuid: &str) -> QueryResult<Option<ResourceProvider>> {
    let query = full_rows!().filter(rp::uuid.eq(uuid));
    on_backend!(conn, c => query.get_result(c)).found()
}

/// Returns row id and generation of the provider with this uuid. Most requests need no other columns of a provider.
pub fn find_key(conn: &mut DbConnection, uuid: &str) -> QueryResult<Option<ProviderKey>> {
    let found: Option<(ProviderId, Option<Generation>)> =
        rp::table.filter(rp::uuid.eq(uuid)).select((rp::id, rp::generation)).get_result(conn).found()?;
    Ok(found.map(|(id, generation)| ProviderKey { id, generation: generation.unwrap_or_default() }))
}

/// Returns the row ids of the providers in `uuids` that exist. Each uuid is spelled as in `uuids`.
pub fn find_ids(conn: &mut DbConnection, uuids: &[&str]) -> QueryResult<HashMap<String, ProviderId>> {
    let found: Vec<(String, ProviderId)> = super::chunked(uuids, |chunk| {
        load_typed!(conn, rp::table.filter(rp::uuid.eq_any(chunk)).select((rp::uuid, rp::id)))
    })?;
    let mut ids: HashMap<String, ProviderId> = found.into_iter().collect();
    if conn.kind() == Kind::Mysql {
        // On MariaDB a list also finds other spellings of a uuid, and a row does not tell which element of
        // the list it matches. So each uuid that is still missing is looked up alone.
        for uuid in uuids {
            if !ids.contains_key(*uuid)
                && let Some(ProviderKey { id, .. }) = find_key(conn, uuid)?
            {
                ids.insert((*uuid).to_owned(), id);
            }
        }
    }
    Ok(ids)
}

/// Returns the providers out of `uuids` that exist. A returned uuid has the stored spelling.
pub fn stored_uuids(conn: &mut DbConnection, uuids: &[&str]) -> QueryResult<Vec<String>> {
    super::chunked(uuids, |chunk| {
        load_typed!(conn, rp::table.filter(rp::uuid.eq_any(chunk)).select(rp::uuid))
    })
}

/// Returns the stored spelling of a provider's name. Returns None if no provider has this name.
pub fn stored_name(conn: &mut DbConnection, name: &str) -> QueryResult<Option<String>> {
    let found: Option<Option<String>> =
        rp::table.filter(rp::name.eq(name)).select(rp::name).get_result(conn).found()?;
    Ok(found.flatten())
}

/// Returns the row id of the provider with this name.
pub fn find_id_by_name(conn: &mut DbConnection, name: &str) -> QueryResult<Option<ProviderId>> {
    rp::table.filter(rp::name.eq(name)).select(rp::id).get_result(conn).optional()
}

/// Inserts a provider at generation 0, as a child of `parent` or as the root of a new tree. Returns the row id.
pub fn insert(
    tx: &mut Tx,
    uuid: &str,
    name: &str,
    parent: Option<&ResourceProvider>,
) -> QueryResult<ProviderId> {
    diesel::insert_into(rp::table)
        .values((
            rp::uuid.eq(uuid),
            rp::name.eq(name),
            rp::generation.eq(Generation::default()),
            rp::parent_provider_id.eq(parent.map(|p| p.id)),
            rp::root_provider_id.eq(parent.map(|p| p.root_id)),
            rp::created_at.eq(now()),
        ))
        .execute(tx.conn())?;
    let id: ProviderId = rp::table.filter(rp::uuid.eq(uuid)).select(rp::id).get_result(tx.conn())?;
    tx.touch_provider(id, Part::Whole);
    if parent.is_none() {
        diesel::update(rp::table.filter(rp::id.eq(id)))
            .set(rp::root_provider_id.eq(id))
            .execute(tx.conn())?;
    }
    Ok(id)
}

/// Renames a provider. Returns the number of changed rows.
pub fn rename(tx: &mut Tx, id: ProviderId, name: &str) -> QueryResult<usize> {
    tx.touch_provider(id, Part::Whole);
    diesel::update(rp::table.filter(rp::id.eq(id)))
        .set((rp::name.eq(name), rp::updated_at.eq(now())))
        .execute(tx.conn())
}

/// Locks a provider's row without changing the row. Returns false if the provider does not exist.
#[must_use = "a provider that is gone can't be written to"]
pub fn lock(tx: &mut Tx, id: ProviderId) -> QueryResult<bool> {
    let row = rp::table.filter(rp::id.eq(id));
    Ok(diesel::update(row).set(rp::generation.eq(rp::generation)).execute(tx.conn())? == 1)
}

/// Locks the rows of the roots of trees, in the order of row ids. Until the transaction ends, no other writer can
/// add, move or remove a provider in one of these trees. `ids` becomes sorted and free of duplicates.
pub fn lock_roots(tx: &mut Tx, ids: &mut Vec<ProviderId>) -> QueryResult<()> {
    ids.sort_unstable();
    ids.dedup();
    for id in ids.iter() {
        diesel::update(rp::table.filter(rp::id.eq(*id)))
            .set(rp::root_provider_id.eq(*id))
            .execute(tx.conn())?;
    }
    Ok(())
}

/// Returns the row id and the parent's row id of each provider in a tree.
pub fn tree_edges(
    conn: &mut DbConnection,
    root_id: ProviderId,
) -> QueryResult<Vec<(ProviderId, Option<ProviderId>)>> {
    rp::table.filter(rp::root_provider_id.eq(root_id)).select((rp::id, rp::parent_provider_id)).load(conn)
}

/// Sets a provider's parent. Without a parent the provider becomes a root. Returns the number of changed rows.
pub fn set_parent(tx: &mut Tx, id: ProviderId, parent_id: Option<ProviderId>) -> QueryResult<usize> {
    tx.touch_provider(id, Part::Whole);
    diesel::update(rp::table.filter(rp::id.eq(id)))
        .set((rp::parent_provider_id.eq(parent_id), rp::updated_at.eq(now())))
        .execute(tx.conn())
}

/// Moves providers into the tree of another root.
pub fn set_root(tx: &mut Tx, ids: &[ProviderId], root_id: ProviderId) -> QueryResult<()> {
    ids.iter().for_each(|id| tx.touch_provider(*id, Part::Whole));
    for chunk in ids.chunks(super::CHUNK) {
        diesel::update(rp::table.filter(rp::id.eq_any(chunk)))
            .set((rp::root_provider_id.eq(root_id), rp::updated_at.eq(now())))
            .execute(tx.conn())?;
    }
    Ok(())
}

/// Returns true if the provider has children.
pub fn has_children(conn: &mut DbConnection, id: ProviderId) -> QueryResult<bool> {
    let child = rp::table
        .filter(rp::parent_provider_id.eq(id))
        .select(rp::id)
        .first::<ProviderId>(conn)
        .optional()?;
    Ok(child.is_some())
}

/// Deletes a provider with the provider's inventories, memberships of aggregates, and traits.
pub fn delete(tx: &mut Tx, id: ProviderId) -> QueryResult<()> {
    tx.touch_provider(id, Part::Whole);
    diesel::delete(inventories::table.filter(inventories::resource_provider_id.eq(id))).execute(tx.conn())?;
    diesel::delete(rpa::table.filter(rpa::resource_provider_id.eq(id))).execute(tx.conn())?;
    diesel::delete(rpt::table.filter(rpt::resource_provider_id.eq(id))).execute(tx.conn())?;
    // The row of a root refers to itself, and MariaDB refuses to delete such a row. So the reference is
    // removed first.
    diesel::update(rp::table.filter(rp::id.eq(id)))
        .set(rp::root_provider_id.eq(None::<ProviderId>))
        .execute(tx.conn())?;
    diesel::delete(rp::table.filter(rp::id.eq(id))).execute(tx.conn())?;
    Ok(())
}

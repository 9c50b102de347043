//! Queries on resource classes (kinds of resources, for example `VCPU`).

use chrono::NaiveDateTime;
use diesel::dsl::max;
use diesel::prelude::*;

use crate::commit::Tx;
use crate::db::schema::{allocations as alloc, inventories as inv, resource_classes as rc};
use crate::db::statement::returning_numbers;
use crate::db::{DbConnection, Kind};
use crate::ids::ClassId;

use super::{Found, load_typed, now};

/// The smallest row id of a custom class. Standard classes have smaller row ids.
pub const FIRST_CUSTOM_ID: ClassId = ClassId::new(10_000);

/// A resource class.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct ResourceClass {
    /// Row id.
    pub id: ClassId,
    /// The name, for example `CUSTOM_GOLD`.
    pub name: String,
    /// When the class was created. None for standard classes.
    pub created_at: Option<NaiveDateTime>,
    /// When the class was last renamed.
    pub updated_at: Option<NaiveDateTime>,
}

const COLUMNS: (rc::id, rc::name, rc::created_at, rc::updated_at) =
    (rc::id, rc::name, rc::created_at, rc::updated_at);

/// Returns all classes, in the order of row ids.
pub fn list(conn: &mut DbConnection) -> QueryResult<Vec<ResourceClass>> {
    rc::table.order(rc::id).select(COLUMNS).load(conn)
}

/// Returns the class with exactly this name.
pub fn find_by_name(conn: &mut DbConnection, name: &str) -> QueryResult<Option<ResourceClass>> {
    let found: Option<ResourceClass> =
        rc::table.filter(rc::name.eq(name)).select(COLUMNS).get_result(conn).found()?;
    // MariaDB ignores case in the query, but Placement finds a class only by the stored upper-case name.
    Ok(found.filter(|class| class.name == name))
}

/// Returns name and row id of each class in `names` that exists.
pub fn find_ids(conn: &mut DbConnection, names: &[&str]) -> QueryResult<Vec<(String, ClassId)>> {
    super::chunked(names, |chunk| {
        load_typed!(conn, rc::table.filter(rc::name.eq_any(chunk)).select((rc::name, rc::id)))
    })
}

/// Returns row id and name of each class in `ids` that exists, in the order of row ids.
pub fn names_of(conn: &mut DbConnection, ids: &[ClassId]) -> QueryResult<Vec<(ClassId, String)>> {
    rc::table.filter(rc::id.eq_any(ids)).order(rc::id).select((rc::id, rc::name)).load(conn)
}

/// Locks the custom classes in `ids` against deletion until the transaction ends. Returns false if one of the classes
/// does not exist. Several transactions can hold this lock at the same time.
#[must_use = "a class that is gone can't be used"]
pub fn lock_shared(tx: &mut Tx, ids: &[ClassId]) -> QueryResult<bool> {
    let mut custom: Vec<ClassId> = ids.iter().copied().filter(|id| *id >= FIRST_CUSTOM_ID).collect();
    custom.sort_unstable();
    let lock: Option<&str> = match tx.kind() {
        // SQLite allows one write transaction at a time, and `tx` is this transaction. So no lock is needed.
        Kind::Sqlite => None,
        Kind::Postgres => Some("FOR KEY SHARE"),
        Kind::Mysql => Some("LOCK IN SHARE MODE"),
    };
    let Some(lock) = lock else {
        return Ok(true);
    };
    let sql = format!("SELECT id FROM resource_classes WHERE id = ? {lock}");
    for id in custom {
        if returning_numbers(tx, sql.as_str(), &[id.into()])?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Inserts a custom class. The new row id is greater than the row ids of all classes, and greater than all class ids
/// in inventories and allocations. So the new class gets no left-over inventories or allocations.
pub fn insert_custom(tx: &mut Tx, name: &str) -> QueryResult<()> {
    tx.touch_names();
    let in_use: (Option<ClassId>, Option<ClassId>, Option<ClassId>) = diesel::select((
        rc::table.select(max(rc::id)).single_value(),
        inv::table.select(max(inv::resource_class_id)).single_value(),
        alloc::table.select(max(alloc::resource_class_id)).single_value(),
    ))
    .get_result(tx.conn())?;
    let largest = in_use.0.max(in_use.1).max(in_use.2);
    let id =
        largest.map_or(FIRST_CUSTOM_ID, |id| ClassId::new(id.get().saturating_add(1)).max(FIRST_CUSTOM_ID));
    diesel::insert_into(rc::table)
        .values((rc::id.eq(id), rc::name.eq(name), rc::created_at.eq(now())))
        .execute(tx.conn())?;
    Ok(())
}

/// Renames a class. Returns the number of changed rows.
pub fn rename(tx: &mut Tx, id: ClassId, name: &str) -> QueryResult<usize> {
    tx.touch_names();
    diesel::update(rc::table.filter(rc::id.eq(id)))
        .set((rc::name.eq(name), rc::updated_at.eq(now())))
        .execute(tx.conn())
}

/// Deletes a class. Returns the number of deleted rows.
pub fn delete(tx: &mut Tx, id: ClassId) -> QueryResult<usize> {
    tx.touch_names();
    diesel::delete(rc::table.filter(rc::id.eq(id))).execute(tx.conn())
}

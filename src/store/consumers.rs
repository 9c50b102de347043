//! Rows of consumers, their projects, users and types.

use diesel::prelude::*;

use crate::db::schema::{allocations, consumer_types, consumers, projects, users};
use crate::db::{DbConnection, Tx};

use super::now;

/// A consumer as stored.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct Consumer {
    /// Row id.
    pub id: i32,
    /// The uuid under which clients know it.
    pub uuid: String,
    /// Its generation.
    pub generation: i32,
    /// Whose it is: row ids of project, user and type.
    pub owner: Owner,
}

/// Row ids of a consumer's project, user and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable)]
pub struct Owner {
    /// Row id of the project.
    pub project_id: i32,
    /// Row id of the user.
    pub user_id: i32,
    /// Row id of the type; none for consumers written before there were types.
    pub consumer_type_id: Option<i32>,
}

/// The consumer of this uuid.
pub fn find_by_uuid(conn: &mut DbConnection, uuid: &str) -> QueryResult<Option<Consumer>> {
    let found: Option<Consumer> = consumers::table
        .filter(consumers::uuid.eq(uuid))
        .select((
            consumers::id,
            consumers::uuid,
            consumers::generation,
            (consumers::project_id, consumers::user_id, consumers::consumer_type_id),
        ))
        .first(conn)
        .optional()?;
    // MariaDB's default collation takes no notice of case.
    Ok(found.filter(|consumer| consumer.uuid == uuid))
}

/// Inserts a consumer that has just been written to for the first time: at generation 1.
pub fn insert(tx: &mut Tx, uuid: &str, owner: Owner) -> QueryResult<usize> {
    diesel::insert_into(consumers::table)
        .values((
            consumers::uuid.eq(uuid),
            consumers::generation.eq(1),
            consumers::project_id.eq(owner.project_id),
            consumers::user_id.eq(owner.user_id),
            consumers::consumer_type_id.eq(owner.consumer_type_id),
            consumers::created_at.eq(now()),
        ))
        .execute(tx.conn())
}

/// Gives a consumer to another project, user or type.
pub fn set_owner(tx: &mut Tx, id: i32, owner: Owner) -> QueryResult<usize> {
    diesel::update(consumers::table.filter(consumers::id.eq(id)))
        .set((
            consumers::project_id.eq(owner.project_id),
            consumers::user_id.eq(owner.user_id),
            consumers::consumer_type_id.eq(owner.consumer_type_id),
        ))
        .execute(tx.conn())
}

/// Deletes a consumer if nothing is allocated to it; returns how many were deleted.
pub fn delete_if_idle(tx: &mut Tx, uuid: &str) -> QueryResult<usize> {
    let idle = diesel::dsl::not(diesel::dsl::exists(
        allocations::table.filter(allocations::consumer_id.eq(uuid)).select(allocations::id),
    ));
    diesel::delete(consumers::table.filter(consumers::uuid.eq(uuid)).filter(idle)).execute(tx.conn())
}

/// Defines a look-up by a unique text column that inserts what it does not find.
macro_rules! ensure {
    ($(#[$doc:meta])* $name:ident, $table:ident . $column:ident) => {
        $(#[$doc])*
        pub fn $name(tx: &mut Tx, value: &str) -> QueryResult<i32> {
            let find = || $table::table.filter($table::$column.eq(value)).select($table::id);
            if let Some(id) = find().first(tx.conn()).optional()? {
                return Ok(id);
            }
            diesel::insert_into($table::table)
                .values(($table::$column.eq(value), $table::created_at.eq(now())))
                .execute(tx.conn())?;
            find().first(tx.conn())
        }
    };
}

ensure!(
    /// Row id of the project with this id in Keystone; inserted if it is new.
    ensure_project, projects.external_id
);
ensure!(
    /// Row id of the user with this id in Keystone; inserted if it is new.
    ensure_user, users.external_id
);
ensure!(
    /// Row id of the consumer type of this name; inserted if it is new.
    ensure_type, consumer_types.name
);

//! Queries on consumers, and on the projects, users and types of consumers.

use diesel::dsl::exists;
use diesel::prelude::*;

use crate::commit::Tx;
use crate::db::schema::{allocations, consumer_types, consumers, projects, users};
use crate::db::statement::{Bind, execute, named};
use crate::db::{DbConnection, Kind, on_backend};
use crate::ids::{ConsumerId, Generation};

use super::{Found, now};

/// A row of the table of consumers.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct Consumer {
    /// Row id.
    pub id: ConsumerId,
    /// The uuid that clients use.
    pub uuid: String,
    /// The generation, which increases with each write of the consumer's allocations.
    pub generation: Generation,
    /// Row ids of the consumer's project, user and type.
    pub owner: OwnerIds,
}

/// Row ids of a consumer's project, user and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable)]
pub struct OwnerIds {
    /// Row id of the project.
    pub project_id: i32,
    /// Row id of the user.
    pub user_id: i32,
    /// Row id of the type. None if the client named no type, as before microversion 1.38.
    pub consumer_type_id: Option<i32>,
}

/// The columns of [`Consumer`].
const COLUMNS: (
    consumers::id,
    consumers::uuid,
    consumers::generation,
    (consumers::project_id, consumers::user_id, consumers::consumer_type_id),
) = (
    consumers::id,
    consumers::uuid,
    consumers::generation,
    (consumers::project_id, consumers::user_id, consumers::consumer_type_id),
);

/// Returns the consumer with this uuid.
pub fn find_by_uuid(conn: &mut DbConnection, uuid: &str) -> QueryResult<Option<Consumer>> {
    consumers::table.filter(consumers::uuid.eq(uuid)).select(COLUMNS).get_result(conn).found()
}

/// The state of a consumer before a claim is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The consumer's row, if the consumer exists.
    pub consumer: Option<Consumer>,
    /// Row ids of the project, user and type that the claim names, which may differ from the present ids in
    /// `consumer`. None if the claim's project, user or type has no row yet.
    pub owner: Option<OwnerIds>,
    /// True if the consumer's uuid has allocations. Old databases have allocations without a consumer row.
    pub holds: bool,
}

/// Returns the state of a consumer before a claim. Runs one query if the claim's owner has rows, else three queries.
pub fn find_for_claim(
    conn: &mut DbConnection,
    uuid: &str,
    project: &str,
    user: &str,
    kind: Option<&str>,
) -> QueryResult<Known> {
    if let Some(known) = find_with_owner(conn, uuid, project, user, kind)? {
        return Ok(known);
    }
    let consumer = find_by_uuid(conn, uuid)?;
    let holds = diesel::select(exists(
        allocations::table.filter(allocations::consumer_id.eq(uuid)).select(allocations::id),
    ));
    Ok(Known { consumer, owner: None, holds: holds.get_result(conn)? })
}

/// Returns the state of a consumer in one query. Returns None if the claim's project, user or type has no row yet.
fn find_with_owner(
    conn: &mut DbConnection,
    uuid: &str,
    project: &str,
    user: &str,
    kind: Option<&str>,
) -> QueryResult<Option<Known>> {
    type Row = (i32, i32, Option<i32>, Option<Consumer>, bool);
    // A diesel join can't borrow values, so the texts are copied. No consumer type has an empty name. So
    // without a type, the empty name finds no row.
    let kind_name = kind.unwrap_or_default().to_owned();
    let holds = exists(
        allocations::table.filter(allocations::consumer_id.eq(uuid.to_owned())).select(allocations::id),
    );
    let query = projects::table
        .inner_join(users::table.on(users::external_id.eq(user.to_owned())))
        .left_join(consumer_types::table.on(consumer_types::name.eq(kind_name)))
        .left_join(consumers::table.on(consumers::uuid.eq(uuid.to_owned())))
        .filter(projects::external_id.eq(project))
        .select((projects::id, users::id, consumer_types::id.nullable(), COLUMNS.nullable(), holds));
    let found: Option<Row> = on_backend!(conn, c => query.get_result(c)).optional()?;
    Ok(found.filter(|(_, _, type_id, ..)| kind.is_none() || type_id.is_some()).map(
        |(project_id, user_id, consumer_type_id, consumer, holds)| {
            let owner = Some(OwnerIds { project_id, user_id, consumer_type_id });
            Known { consumer, owner, holds }
        },
    ))
}

/// Inserts a consumer at generation 1. Returns the number of inserted rows.
pub fn insert(tx: &mut Tx, uuid: &str, owner: OwnerIds) -> QueryResult<usize> {
    let insert = diesel::insert_into(consumers::table).values((
        consumers::uuid.eq(uuid),
        consumers::generation.eq(Generation::new(1)),
        consumers::project_id.eq(owner.project_id),
        consumers::user_id.eq(owner.user_id),
        consumers::consumer_type_id.eq(owner.consumer_type_id),
        consumers::created_at.eq(now()),
    ));
    on_backend!(tx.conn(), c => insert.execute(c))
}

/// Inserts a consumer at generation 1, by one statement that also looks up the project, user and type.
///
/// Returns false if the consumer exists, the project, user or type has no row, or the uuid has allocations.
///
/// Always returns false on MariaDB. There, INSERT … SELECT locks a whole table, and one of two such
/// statements at the same time fails.
pub fn insert_new(
    tx: &mut Tx,
    uuid: &str,
    project: &str,
    user: &str,
    kind: Option<&str>,
) -> QueryResult<bool> {
    if tx.kind() == Kind::Mysql {
        return Ok(false);
    }
    let uuid = Bind::Text(uuid);
    let mut binds: Vec<Bind<'_>> = vec![uuid, now().into(), project.into(), user.into(), uuid, uuid];
    let changed = match kind {
        None => {
            let sql = named!(
                "INSERT INTO consumers (uuid, generation, project_id, user_id, created_at) \
                 SELECT ?, 1, projects.id, users.id, ? FROM projects, users \
                 WHERE projects.external_id = ? AND users.external_id = ? \
                 AND NOT EXISTS (SELECT 1 FROM consumers WHERE uuid = ?) \
                 AND NOT EXISTS (SELECT 1 FROM allocations WHERE consumer_id = ?)"
            );
            execute(tx, sql, &binds)?
        }
        Some(name) => {
            binds.push(name.into());
            let sql = named!(
                "INSERT INTO consumers (uuid, generation, project_id, user_id, created_at, consumer_type_id) \
                 SELECT ?, 1, projects.id, users.id, ?, consumer_types.id FROM projects, users, consumer_types \
                 WHERE projects.external_id = ? AND users.external_id = ? \
                 AND NOT EXISTS (SELECT 1 FROM consumers WHERE uuid = ?) \
                 AND NOT EXISTS (SELECT 1 FROM allocations WHERE consumer_id = ?) AND consumer_types.name = ?"
            );
            execute(tx, sql, &binds)?
        }
    };
    Ok(changed == 1)
}

/// Changes a consumer's project, user and type. Returns the number of changed rows.
pub fn set_owner(tx: &mut Tx, id: ConsumerId, owner: OwnerIds) -> QueryResult<usize> {
    diesel::update(consumers::table.filter(consumers::id.eq(id)))
        .set((
            consumers::project_id.eq(owner.project_id),
            consumers::user_id.eq(owner.user_id),
            consumers::consumer_type_id.eq(owner.consumer_type_id),
        ))
        .execute(tx.conn())
}

/// Deletes a consumer. Returns the number of deleted rows, or None if the tables can't store the characters of
/// `uuid`. Until the transaction ends, no other transaction can insert this consumer again.
pub fn delete(tx: &mut Tx, uuid: &str) -> QueryResult<Option<usize>> {
    execute(tx, named!("DELETE FROM consumers WHERE uuid = ?"), &[uuid.into()]).found()
}

/// Deletes a consumer that has no allocations. Returns the number of deleted rows.
pub fn delete_if_idle(tx: &mut Tx, uuid: &str) -> QueryResult<usize> {
    let idle = diesel::dsl::not(exists(
        allocations::table.filter(allocations::consumer_id.eq(uuid)).select(allocations::id),
    ));
    diesel::delete(consumers::table.filter(consumers::uuid.eq(uuid)).filter(idle)).execute(tx.conn())
}

/// Builds a query for the row id of a text, in a table where texts are unique.
macro_rules! find {
    ($table:ident . $column:ident, $value:expr) => {
        $table::table.filter($table::$column.eq($value)).select($table::id)
    };
}

/// Inserts a text into a table where texts are unique. Evaluates to the row id.
macro_rules! insert {
    ($tx:expr, $table:ident . $column:ident, $value:expr) => {{
        diesel::insert_into($table::table)
            .values(($table::$column.eq($value), $table::created_at.eq(now())))
            .execute($tx.conn())?;
        find!($table.$column, $value).get_result($tx.conn())?
    }};
}

/// Returns the row ids of a project and a user, given by Keystone ids, and of a type. Inserts missing rows.
pub fn ensure_owner(tx: &mut Tx, project: &str, user: &str, kind: Option<&str>) -> QueryResult<OwnerIds> {
    // One query looks up the project, the user and the type. Nearly always all of these rows exist.
    let (project_id, user_id, type_id): (Option<i32>, Option<i32>, Option<i32>) = diesel::select((
        find!(projects.external_id, project).single_value(),
        find!(users.external_id, user).single_value(),
        // Without a type, the empty name finds no row.
        find!(consumer_types.name, kind.unwrap_or_default()).single_value(),
    ))
    .get_result(tx.conn())?;
    Ok(OwnerIds {
        project_id: match project_id {
            Some(id) => id,
            None => insert!(tx, projects.external_id, project),
        },
        user_id: match user_id {
            Some(id) => id,
            None => insert!(tx, users.external_id, user),
        },
        consumer_type_id: match (kind, type_id) {
            (Some(name), None) => Some(insert!(tx, consumer_types.name, name)),
            _ => type_id,
        },
    })
}

//! Rows of consumers, their projects, users and types.

use diesel::dsl::exists;
use diesel::prelude::*;

use crate::commit::Tx;
use crate::db::schema::{allocations, consumer_types, consumers, projects, users};
use crate::db::statement::{Bind, execute, named};
use crate::db::{DbConnection, Kind, on_backend};

use super::{Found, now};

/// A consumer as stored.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct Consumer {
    /// Row id.
    pub id: i32,
    /// The uuid under which clients know it.
    pub uuid: String,
    /// Its generation.
    pub generation: i32,
    /// Row ids of its project, user and type.
    pub owner: OwnerIds,
}

/// Row ids of a consumer's project, user and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable)]
pub struct OwnerIds {
    /// Row id of the project.
    pub project_id: i32,
    /// Row id of the user.
    pub user_id: i32,
    /// Row id of the type; none for consumers written before there were types.
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

/// The consumer of this uuid.
pub fn find_by_uuid(conn: &mut DbConnection, uuid: &str) -> QueryResult<Option<Consumer>> {
    consumers::table.filter(consumers::uuid.eq(uuid)).select(COLUMNS).get_result(conn).found()
}

/// The state of a claim's consumer before the claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The consumer, if it is there.
    pub consumer: Option<Consumer>,
    /// Row ids of the owner that the claim names, which may differ from the consumer's; `None` if a part is
    /// new.
    pub owner: Option<OwnerIds>,
    /// Whether anything is allocated to the consumer, which may be although the consumer is not there.
    pub holds: bool,
}

/// The state of a claim's consumer before the claim, nearly always in one question.
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

/// The consumer of a claim whose owner is known; `None` if a part of the owner is new.
fn find_with_owner(
    conn: &mut DbConnection,
    uuid: &str,
    project: &str,
    user: &str,
    kind: Option<&str>,
) -> QueryResult<Option<Known>> {
    type Row = (i32, i32, Option<i32>, Option<Consumer>, bool);
    // A join takes no borrowed values. No type has the empty name.
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

/// Inserts a consumer at generation 1, the generation after its first write.
pub fn insert(tx: &mut Tx, uuid: &str, owner: OwnerIds) -> QueryResult<usize> {
    let insert = diesel::insert_into(consumers::table).values((
        consumers::uuid.eq(uuid),
        consumers::generation.eq(1),
        consumers::project_id.eq(owner.project_id),
        consumers::user_id.eq(owner.user_id),
        consumers::consumer_type_id.eq(owner.consumer_type_id),
        consumers::created_at.eq(now()),
    ));
    on_backend!(tx.conn(), c => insert.execute(c))
}

/// Inserts a new consumer as [`insert`] does, in one statement that looks up the consumer's project, user and
/// type. Most claims need no other question about consumers. The result is `false`, and nothing is written, if
/// the consumer exists, if its project, user or type is missing, or if something is allocated to its uuid.
///
/// The result is always `false` on MariaDB, where INSERT … SELECT locks the whole table, and two such
/// statements at once fail.
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

/// Changes a consumer's project, user and type.
pub fn set_owner(tx: &mut Tx, id: i32, owner: OwnerIds) -> QueryResult<usize> {
    diesel::update(consumers::table.filter(consumers::id.eq(id)))
        .set((
            consumers::project_id.eq(owner.project_id),
            consumers::user_id.eq(owner.user_id),
            consumers::consumer_type_id.eq(owner.consumer_type_id),
        ))
        .execute(tx.conn())
}

/// Deletes a consumer; returns the number of deleted rows. The result is `None` if the tables cannot hold such
/// a uuid. No other transaction can create the consumer again before this one ends.
pub fn delete(tx: &mut Tx, uuid: &str) -> QueryResult<Option<usize>> {
    execute(tx, named!("DELETE FROM consumers WHERE uuid = ?"), &[uuid.into()]).found()
}

/// Deletes a consumer if nothing is allocated to it; returns the number of deleted rows.
pub fn delete_if_idle(tx: &mut Tx, uuid: &str) -> QueryResult<usize> {
    let idle = diesel::dsl::not(exists(
        allocations::table.filter(allocations::consumer_id.eq(uuid)).select(allocations::id),
    ));
    diesel::delete(consumers::table.filter(consumers::uuid.eq(uuid)).filter(idle)).execute(tx.conn())
}

/// The row id of a unique text in a table.
macro_rules! find {
    ($table:ident . $column:ident, $value:expr) => {
        $table::table.filter($table::$column.eq($value)).select($table::id)
    };
}

/// Inserts a unique text into a table; the value is its row id.
macro_rules! insert {
    ($tx:expr, $table:ident . $column:ident, $value:expr) => {{
        diesel::insert_into($table::table)
            .values(($table::$column.eq($value), $table::created_at.eq(now())))
            .execute($tx.conn())?;
        find!($table.$column, $value).get_result($tx.conn())?
    }};
}

/// Row ids of a project and a user, by their ids in Keystone, and of a consumer type if one is named. Missing
/// rows are inserted.
pub fn ensure_owner(tx: &mut Tx, project: &str, user: &str, kind: Option<&str>) -> QueryResult<OwnerIds> {
    // One question looks for all of them. Nearly always all are there.
    let (project_id, user_id, type_id): (Option<i32>, Option<i32>, Option<i32>) = diesel::select((
        find!(projects.external_id, project).single_value(),
        find!(users.external_id, user).single_value(),
        // No type has the empty name.
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

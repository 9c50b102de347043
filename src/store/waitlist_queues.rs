//! Queries on the waitlist's queues, on the owners of queues, and on groups (tickets that were created together).

use chrono::NaiveDateTime;
use diesel::dsl::{count_star, max, sum};
use diesel::prelude::*;

use crate::commit::Tx;
use crate::db::DbConnection;
use crate::db::schema::{
    waitlist_groups as groups, waitlist_owners as owners, waitlist_queues as queues,
    waitlist_tickets as tickets,
};

use super::{generation, load_typed, now};

/// A queue of tickets for one resource.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct Queue {
    /// Row id.
    pub id: i32,
    /// The owner: the uuid of a resource provider, or `default` if the resource belongs to no provider.
    pub owner: String,
    /// The scope: the kind of the resource.
    pub scope: String,
    /// The id of the resource within the scope.
    pub resource_id: String,
    /// The generation, which increases by 1 when a ticket is created or ends.
    pub generation: i64,
    /// The number of live tickets, which are queued or active.
    pub live: i32,
    /// The time of the creation.
    pub created_at: NaiveDateTime,
    /// When a ticket of the queue was last created or ended.
    pub updated_at: NaiveDateTime,
}

/// The condition of a list of queues. A field with None admits every value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueFilter {
    /// The owner of the queues.
    pub owner: Option<String>,
    /// The scope of the queues.
    pub scope: Option<String>,
    /// The id of the resource.
    pub resource_id: Option<String>,
}

/// Returns the queue of the resource with this owner, scope and id.
pub fn find(
    conn: &mut DbConnection,
    owner: &str,
    scope: &str,
    resource_id: &str,
) -> QueryResult<Option<Queue>> {
    queues::table
        .filter(queues::owner.eq(owner))
        .filter(queues::scope.eq(scope))
        .filter(queues::resource_id.eq(resource_id))
        .get_result(conn)
        .optional()
}

/// Returns the queue with this row id.
pub fn find_by_id(conn: &mut DbConnection, id: i32) -> QueryResult<Option<Queue>> {
    queues::table.filter(queues::id.eq(id)).get_result(conn).optional()
}

/// Returns the queues with these row ids, in the order of row ids.
pub fn list_by_ids(conn: &mut DbConnection, ids: &[i32]) -> QueryResult<Vec<Queue>> {
    let mut found: Vec<Queue> =
        super::chunked(ids, |chunk| load_typed!(conn, queues::table.filter(queues::id.eq_any(chunk))))?;
    found.sort_by_key(|queue| queue.id);
    Ok(found)
}

/// Returns the number of queues with live tickets, the number of live tickets, and the number of live tickets in the
/// longest queue. The query reads only the rows of these queues, through the index on `live`.
pub fn measure(conn: &mut DbConnection) -> QueryResult<(i64, i64, i32)> {
    let measured: (i64, Option<i64>, Option<i32>) = queues::table
        .filter(queues::live.gt(0))
        .select((count_star(), sum(queues::live), max(queues::live)))
        .get_result(conn)?;
    let (used, live, longest) = measured;
    Ok((used, live.unwrap_or(0), longest.unwrap_or(0)))
}

/// Locks the row of an owner, or inserts the row. Until the transaction ends, no other transaction can create a queue
/// of the owner or delete the owner. Returns the fence floor (the generation at which new queues start).
pub fn lock_owner(tx: &mut Tx, owner: &str) -> QueryResult<i64> {
    if !generation::bump_waitlist_owner(tx, owner)? {
        diesel::insert_into(owners::table)
            .values((owners::owner.eq(owner), owners::generation.eq(1_i64), owners::fence_floor.eq(0_i64)))
            .execute(tx.conn())?;
    }
    owners::table.filter(owners::owner.eq(owner)).select(owners::fence_floor).get_result(tx.conn())
}

/// Locks all queues of an owner (a provider) that is being deleted. Returns false if a queue has live tickets.
///
/// A transaction that creates a ticket locks the row of the queue, or the row of the owner if the queue is new. So
/// either this transaction sees the ticket, or that transaction sees that the owner is deleted.
#[must_use = "an owner with live tickets must stay"]
pub fn close_owner(tx: &mut Tx, owner: &str) -> QueryResult<bool> {
    lock_owner(tx, owner)?;
    generation::bump_queues_of(tx, owner)?;
    let of_owner = queues::table.filter(queues::owner.eq(owner));
    let live = of_owner.filter(queues::live.gt(0)).select(queues::id).first::<i32>(tx.conn()).optional()?;
    let used = of_owner.select(queues::id).first::<i32>(tx.conn()).optional()?;
    if used.is_none() {
        // An owner without queues needs a row only if the row stores a fence floor.
        let untouched = owners::table.filter(owners::owner.eq(owner)).filter(owners::fence_floor.eq(0));
        diesel::delete(untouched).execute(tx.conn())?;
    }
    Ok(live.is_none())
}

/// Inserts a queue whose generation is the owner's fence floor. Returns the row id. The owner's row must be locked.
pub fn insert(tx: &mut Tx, owner: &str, scope: &str, resource_id: &str, floor: i64) -> QueryResult<i32> {
    let now = now();
    diesel::insert_into(queues::table)
        .values((
            queues::owner.eq(owner),
            queues::scope.eq(scope),
            queues::resource_id.eq(resource_id),
            queues::generation.eq(floor),
            queues::live.eq(0),
            queues::created_at.eq(now),
            queues::updated_at.eq(now),
        ))
        .execute(tx.conn())?;
    queues::table
        .filter(queues::owner.eq(owner))
        .filter(queues::scope.eq(scope))
        .filter(queues::resource_id.eq(resource_id))
        .select(queues::id)
        .get_result(tx.conn())
}

/// Returns at most `limit` queues that have no tickets and have not changed since `before`.
pub fn list_forgotten(conn: &mut DbConnection, before: NaiveDateTime, limit: i64) -> QueryResult<Vec<Queue>> {
    let tickets = tickets::table.filter(tickets::queue_id.eq(queues::id)).select(tickets::position);
    queues::table
        .filter(queues::live.eq(0))
        .filter(queues::updated_at.lt(before))
        .filter(diesel::dsl::not(diesel::dsl::exists(tickets)))
        .order((queues::owner, queues::id))
        .limit(limit)
        .load(conn)
}

/// Deletes a queue if its generation is the one in `queue`, and raises the owner's fence floor to this generation.
/// Returns false if the queue has changed. The caller must have locked the owner's row.
#[must_use = "a queue that has changed stays"]
pub fn forget(tx: &mut Tx, queue: &Queue, floor: i64) -> QueryResult<bool> {
    let row = queues::table.filter(queues::id.eq(queue.id)).filter(queues::generation.eq(queue.generation));
    let gone = diesel::delete(row).execute(tx.conn())? == 1;
    if gone && queue.generation > floor {
        diesel::update(owners::table.filter(owners::owner.eq(&queue.owner)))
            .set(owners::fence_floor.eq(queue.generation))
            .execute(tx.conn())?;
    }
    Ok(gone)
}

/// Inserts a group at generation 1.
pub fn insert_group(tx: &mut Tx, uuid: &str) -> QueryResult<()> {
    diesel::insert_into(groups::table)
        .values((groups::uuid.eq(uuid), groups::generation.eq(1_i64), groups::created_at.eq(now())))
        .execute(tx.conn())?;
    Ok(())
}

/// Returns the generation of a group. Returns None if no group has this uuid.
pub fn find_group(conn: &mut DbConnection, uuid: &str) -> QueryResult<Option<i64>> {
    groups::table.filter(groups::uuid.eq(uuid)).select(groups::generation).get_result(conn).optional()
}

/// Deletes the groups that were created before a time and have no tickets. Returns the number of groups.
pub fn forget_groups(tx: &mut Tx, before: NaiveDateTime) -> QueryResult<usize> {
    let members =
        tickets::table.filter(tickets::group_uuid.eq(groups::uuid.nullable())).select(tickets::position);
    let forgotten = groups::table
        .filter(groups::created_at.lt(before))
        .filter(diesel::dsl::not(diesel::dsl::exists(members)));
    diesel::delete(forgotten).execute(tx.conn())
}

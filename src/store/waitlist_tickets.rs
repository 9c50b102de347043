//! Queries on the waitlist's tickets.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::commit::Tx;
use crate::db::schema::{waitlist_queues as queues, waitlist_tickets as tickets};
use crate::db::statement::{execute, execute_listed};
use crate::db::unindexed::unindexed;
use crate::db::{DbConnection, MultiBackend};

use super::load_typed;
use super::ticket::{NewTicket, Status, Ticket, from_micros, micros};
use super::waitlist_queues::QueueFilter;

/// Builds the query for the columns of [`Ticket`], joined with the queue. The argument is the condition of the join.
macro_rules! full_rows {
    () => {
        full_rows!(tickets::queue_id.eq(queues::id))
    };
    ($of_queue:expr) => {
        tickets::table.inner_join(queues::table.on($of_queue)).select((
            tickets::queue_id,
            tickets::position,
            tickets::uuid,
            queues::owner,
            queues::scope,
            queues::resource_id,
            tickets::status,
            tickets::generation,
            tickets::fence,
            tickets::group_uuid,
            tickets::action,
            tickets::extra,
            tickets::project_id,
            tickets::user_id,
            tickets::request_id,
            tickets::expires_at,
            tickets::expires_text,
            tickets::lease_seconds,
            tickets::created_at,
            tickets::updated_at,
            tickets::activated_at,
        ))
    };
}

/// Returns the condition that a ticket is of a queue. If the owner of the queues is given, the addition keeps MariaDB
/// from reading the tickets of all owners before their queues. MariaDB does so while its statistics are those of empty
/// tables. The condition is SQL text, because the query of a list is built for all databases at once. So diesel prepares
/// the list anew each time.
fn of_queue(has_owner: bool) -> SqlLiteral<Bool> {
    sql(if has_owner {
        "waitlist_tickets.queue_id = waitlist_queues.id + 0"
    } else {
        "waitlist_tickets.queue_id = waitlist_queues.id"
    })
}

/// Returns the ticket with this uuid.
pub fn find(conn: &mut DbConnection, uuid: &str) -> QueryResult<Option<Ticket>> {
    full_rows!().filter(tickets::uuid.eq(uuid)).get_result(conn).optional()
}

/// Returns the tickets in `uuids` that exist.
pub fn find_several(conn: &mut DbConnection, uuids: &[&str]) -> QueryResult<Vec<Ticket>> {
    super::chunked(uuids, |chunk| load_typed!(conn, full_rows!().filter(tickets::uuid.eq_any(chunk))))
}

/// Returns the tickets of a group, in the order in which transactions lock queues (by owner, scope and id).
pub fn list_by_group(conn: &mut DbConnection, group_uuid: &str) -> QueryResult<Vec<Ticket>> {
    full_rows!()
        .filter(tickets::group_uuid.eq(group_uuid))
        .order((queues::owner, queues::scope, queues::resource_id))
        .load(conn)
}

/// Returns at most `limit` live tickets of a queue, the oldest ticket first.
pub fn list_live(conn: &mut DbConnection, queue_id: i32, limit: i64) -> QueryResult<Vec<Ticket>> {
    full_rows!()
        .filter(tickets::queue_id.eq(queue_id))
        .filter(tickets::status.eq_any(Status::LIVE))
        .order(tickets::position)
        .limit(limit)
        .load(conn)
}

/// Returns at most `limit` queued tickets of a queue, the oldest ticket first.
pub fn list_heads(conn: &mut DbConnection, queue_id: i32, limit: i64) -> QueryResult<Vec<Ticket>> {
    full_rows!()
        .filter(tickets::queue_id.eq(queue_id))
        .filter(tickets::status.eq(Status::Queued))
        .order(tickets::position)
        .limit(limit)
        .load(conn)
}

/// Returns the number of live tickets of a queue that are before this position.
pub fn count_ahead(conn: &mut DbConnection, queue_id: i32, position: i64) -> QueryResult<i64> {
    tickets::table
        .filter(tickets::queue_id.eq(queue_id))
        .filter(tickets::status.eq_any(Status::LIVE))
        .filter(tickets::position.lt(position))
        .count()
        .get_result(conn)
}

/// Returns the active ticket of each queue: the queue's row id and the ticket's uuid.
pub fn find_active(conn: &mut DbConnection, queue_ids: &[i32]) -> QueryResult<Vec<(i32, String)>> {
    let queue_ids: Vec<Option<i32>> = queue_ids.iter().copied().map(Some).collect();
    super::chunked(&queue_ids, |chunk| {
        load_typed!(
            conn,
            tickets::table.filter(tickets::holds.eq_any(chunk)).select((tickets::queue_id, tickets::uuid))
        )
    })
}

/// The condition of a list of tickets.
#[derive(Clone, Debug)]
pub struct TicketFilter {
    /// The queues of the tickets.
    pub queues: QueueFilter,
    /// The statuses of the tickets. An empty list admits every status.
    pub statuses: Vec<Status>,
    /// The row id of a queue and a position. The list begins with the next ticket after this place.
    pub after: Option<(i32, i64)>,
    /// The largest number of tickets in the result.
    pub limit: i64,
}

/// Builds a query for the tickets that a filter admits. The filter's `limit` is not applied.
macro_rules! filtered_rows {
    ($filter:expr) => {{
        let filter: &TicketFilter = $filter;
        let mut query = full_rows!(of_queue(filter.queues.owner.is_some())).into_boxed::<MultiBackend>();
        if let Some(owner) = &filter.queues.owner {
            query = query.filter(queues::owner.eq(owner));
        }
        if let Some(scope) = &filter.queues.scope {
            query = query.filter(queues::scope.eq(scope));
        }
        if let Some(id) = &filter.queues.resource_id {
            query = query.filter(queues::resource_id.eq(id));
        }
        if !filter.statuses.is_empty() {
            query = query.filter(tickets::status.eq_any(filter.statuses.clone()));
        }
        if let Some((queue_id, position)) = filter.after {
            // The first condition lets the database start reading the index at this place.
            query = query.filter(tickets::queue_id.ge(queue_id));
            query = query.filter(tickets::queue_id.gt(queue_id).or(tickets::position.gt(position)));
        }
        query
    }};
}

/// Returns tickets in the order of queue and position.
pub fn list(conn: &mut DbConnection, filter: &TicketFilter) -> QueryResult<Vec<Ticket>> {
    filtered_rows!(filter).order((tickets::queue_id, tickets::position)).limit(filter.limit).load(conn)
}

/// Returns tickets in the order of creation, without the first `offset` tickets.
pub fn list_by_creation(
    conn: &mut DbConnection,
    filter: &TicketFilter,
    offset: i64,
) -> QueryResult<Vec<Ticket>> {
    filtered_rows!(filter)
        .order((tickets::created_at, tickets::queue_id, tickets::position))
        .limit(filter.limit)
        .offset(offset)
        .load(conn)
}

/// Returns at most `limit` tickets of an owner's queues. The last ticket of each queue comes first.
pub fn list_last_by_owner(conn: &mut DbConnection, owner: &str, limit: i64) -> QueryResult<Vec<Ticket>> {
    let query = full_rows!(tickets::queue_id.eq(unindexed(queues::id)))
        .filter(queues::owner.eq(owner))
        .order((tickets::queue_id, tickets::position.desc()))
        .limit(limit);
    load_typed!(conn, query)
}

/// Returns the tickets in `uuids` that are queued.
pub fn list_queued(conn: &mut DbConnection, uuids: &[String]) -> QueryResult<Vec<String>> {
    // The query has no condition on the status, since a database may then read all tickets of this status.
    let found: Vec<(String, Status)> = super::chunked(uuids, |chunk| {
        load_typed!(
            conn,
            tickets::table.filter(tickets::uuid.eq_any(chunk)).select((tickets::uuid, tickets::status))
        )
    })?;
    Ok(found.into_iter().filter(|(_, status)| *status == Status::Queued).map(|(uuid, _)| uuid).collect())
}

/// Returns the groups in `uuids` that wait. A group waits if a ticket of the group is queued and no ticket has ended.
pub fn list_queued_groups(conn: &mut DbConnection, uuids: &[String]) -> QueryResult<Vec<String>> {
    let members: Vec<(Option<String>, Status)> = super::chunked(uuids, |chunk| {
        load_typed!(
            conn,
            tickets::table
                .filter(tickets::group_uuid.eq_any(chunk))
                .select((tickets::group_uuid, tickets::status))
        )
    })?;
    let with = |statuses: &[Status]| -> BTreeSet<String> {
        let members = members.iter().filter(|(_, status)| statuses.contains(status));
        members.filter_map(|(group_uuid, _)| group_uuid.clone()).collect()
    };
    Ok(with(&[Status::Queued]).difference(&with(&[Status::Finished, Status::Expired])).cloned().collect())
}

/// Inserts a ticket.
pub fn insert(tx: &mut Tx, ticket: &NewTicket<'_>) -> QueryResult<()> {
    tx.touch_expiry(ticket.expires_at.map(from_micros));
    diesel::insert_into(tickets::table).values(ticket).execute(tx.conn())?;
    Ok(())
}

/// Locks the row of a ticket if the ticket is active. Until the transaction ends, the ticket then stays active.
/// Returns false if the ticket is not active.
///
/// The lock is a write, since a Galera cluster detects conflicts only between writes.
#[must_use = "a ticket that is not active proves nothing"]
pub fn prove_active(tx: &mut Tx, uuid: &str) -> QueryResult<bool> {
    // No index is used for a condition inside CASE. So the row is found by uuid, and no other row is read.
    let sql = "UPDATE waitlist_tickets SET fenced_writes = fenced_writes + 1 \
               WHERE uuid = ? AND CASE WHEN status = ? THEN 1 ELSE 0 END = 1";
    Ok(execute(tx, sql, &[uuid.into(), Status::Active.as_str().into()])? == 1)
}

/// The largest number of tickets whose leases one statement restarts.
pub const KEPT_ALIVE_AT_ONCE: usize = 100;

/// Restarts the leases of the tickets in `uuids` that are queued and whose lease already runs.
///
/// The generations of the tickets stay unchanged, since the waiting clients would not learn the new generations.
pub fn keep_alive(tx: &mut Tx, uuids: &[String], now: NaiveDateTime) -> QueryResult<()> {
    restart_leases(tx, "status = 'queued'", "uuid", uuids, now)
}

/// Restarts the leases of all live tickets in these groups, as far as the leases run already.
pub fn keep_groups_alive(tx: &mut Tx, uuids: &[String], now: NaiveDateTime) -> QueryResult<()> {
    restart_leases(tx, "status IN ('queued', 'active')", "group_uuid", uuids, now)
}

/// Restarts the leases of the tickets that meet `condition` and have one of `uuids` in `column`.
fn restart_leases(
    tx: &mut Tx,
    condition: &str,
    column: &str,
    uuids: &[String],
    now: NaiveDateTime,
) -> QueryResult<()> {
    // No index is used for a condition inside CASE. So the rows are found by uuid, and no other row is locked.
    let sql = format!(
        "UPDATE waitlist_tickets SET expires_at = ? + ? * lease_seconds \
         WHERE CASE WHEN lease_seconds IS NOT NULL AND expires_at IS NOT NULL AND {condition} \
         THEN 1 ELSE 0 END = 1 AND {column}"
    );
    let uuids: Vec<&str> = uuids.iter().map(String::as_str).collect();
    execute_listed(tx, &sql, &[micros(now).into(), 1_000_000_i64.into()], &uuids)?;
    Ok(())
}

/// Deletes a ticket. Returns the number of deleted rows.
pub fn delete(tx: &mut Tx, ticket: &Ticket) -> QueryResult<usize> {
    tx.touch_ticket(&ticket.uuid);
    diesel::delete(tickets::table.filter(tickets::uuid.eq(&ticket.uuid))).execute(tx.conn())
}

/// Deletes at most `limit` tickets that ended before a time. Returns the number of deleted tickets.
pub fn prune(tx: &mut Tx, before: NaiveDateTime, limit: i64) -> QueryResult<usize> {
    let uuids: Vec<String> = tickets::table
        .filter(tickets::status.eq_any([Status::Finished, Status::Expired]))
        .filter(tickets::updated_at.lt(before))
        .limit(limit)
        .select(tickets::uuid)
        .load(tx.conn())?;
    let mut gone = 0;
    for chunk in uuids.chunks(super::CHUNK) {
        let rows = tickets::table.filter(tickets::uuid.eq_any(chunk));
        gone += diesel::delete(rows).execute(tx.conn())?;
    }
    Ok(gone)
}

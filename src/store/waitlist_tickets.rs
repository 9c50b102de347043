//! Rows of the waitlist's tickets.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::backend::Backend;
use diesel::deserialize::FromStaticSqlRow;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use crate::commit::Tx;
use crate::db::schema::{waitlist_queues as queues, waitlist_tickets as tickets};
use crate::db::statement::{execute, execute_listed};
use crate::db::{DbConnection, MultiBackend};

use super::load_typed;
use super::waitlist_queues::QueueFilter;

/// The status of a ticket that waits for its turn.
pub const QUEUED: &str = "queued";
/// The status of the ticket whose turn it is.
pub const ACTIVE: &str = "active";
/// The status of a ticket that was released, or given up while it waited.
pub const FINISHED: &str = "finished";
/// The status of a ticket whose time ran out.
pub const EXPIRED: &str = "expired";

/// A ticket with what its queue says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct Ticket {
    /// Row id of its queue.
    pub queue_id: i32,
    /// Its place in the queue's order: the queue's generation when it came.
    pub position: i64,
    /// The uuid under which clients know it.
    pub uuid: String,
    /// The uuid of the resource provider, or the name of an owner that is none.
    pub owner: String,
    /// The kind of thing that the ticket is for.
    pub scope: String,
    /// Which one of that kind.
    pub resource_id: String,
    /// [`QUEUED`], [`ACTIVE`], [`FINISHED`] or [`EXPIRED`].
    pub status: String,
    /// Its generation: one more with each change.
    pub generation: i64,
    /// The queue's generation when it became active.
    pub fence: Option<i64>,
    /// The group that it was created with.
    pub group_uuid: Option<String>,
    /// The work that the holder is going to do, in the client's words.
    pub action: Option<String>,
    /// Any object of the client, as JSON.
    pub extra: Option<String>,
    /// The project of whoever created it.
    pub project_id: Option<String>,
    /// The user that created the ticket.
    pub user_id: Option<String>,
    /// The id of the request that created it.
    pub request_id: Option<String>,
    /// When its time runs out; none if it has a lease that does not run yet, or no end at all.
    #[diesel(deserialize_as = StoredTime)]
    pub expires_at: Option<NaiveDateTime>,
    /// The end of its time as the client spelled it, where that is told again.
    pub expires_text: Option<String>,
    /// How long it may be active.
    pub lease_seconds: Option<i32>,
    /// When it was created.
    pub created_at: NaiveDateTime,
    /// When it was last changed.
    pub updated_at: NaiveDateTime,
    /// When it became active.
    pub activated_at: Option<NaiveDateTime>,
}

/// A time as the row has it: in microseconds since 1970, if there is one.
#[derive(Clone, Copy, Debug)]
pub struct StoredTime(Option<i64>);

impl<DB> Queryable<Nullable<BigInt>, DB> for StoredTime
where
    DB: Backend,
    Option<i64>: FromStaticSqlRow<Nullable<BigInt>, DB>,
{
    type Row = Option<i64>;

    fn build(row: Self::Row) -> diesel::deserialize::Result<Self> {
        Ok(StoredTime(row))
    }
}

impl From<StoredTime> for Option<NaiveDateTime> {
    fn from(StoredTime(micros): StoredTime) -> Self {
        micros.map(from_micros)
    }
}

pub(super) fn from_micros(micros: i64) -> NaiveDateTime {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::MAX_UTC).naive_utc()
}

/// A time in microseconds since 1970, as rows have the ends of tickets.
pub fn micros(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp_micros()
}

impl Ticket {
    /// Whether it is queued or active.
    pub fn is_live(&self) -> bool {
        self.status == QUEUED || self.status == ACTIVE
    }

    /// Whether the ticket's time has run out.
    pub fn is_overdue(&self, now: NaiveDateTime) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// The length and the end of the ticket's lease, if the lease runs while the ticket is queued.
    pub fn queued_lease(&self) -> Option<(i32, NaiveDateTime)> {
        if self.status != QUEUED {
            return None;
        }
        self.lease_seconds.zip(self.expires_at)
    }
}

/// A ticket that is to be inserted.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = tickets)]
pub struct NewTicket<'a> {
    /// Row id of its queue.
    pub queue_id: i32,
    /// The queue's generation.
    pub position: i64,
    /// Its uuid.
    pub uuid: &'a str,
    /// Queued or active.
    pub status: &'static str,
    /// The queue, if it is active.
    pub holds: Option<i32>,
    /// Its generation.
    pub generation: i64,
    /// The queue's generation, if it is active.
    pub fence: Option<i64>,
    /// How many writes it has fenced.
    pub fenced_writes: i64,
    /// The group that it is created with.
    pub group_uuid: Option<&'a str>,
    /// The work that the holder is going to do.
    pub action: Option<&'a str>,
    /// Any object of the client, as JSON.
    pub extra: Option<&'a str>,
    /// The project of whoever creates it.
    pub project_id: Option<&'a str>,
    /// The user that creates the ticket.
    pub user_id: Option<&'a str>,
    /// The id of the request that creates it.
    pub request_id: Option<&'a str>,
    /// When its time runs out, in [`micros`].
    pub expires_at: Option<i64>,
    /// The same as the client spelled it.
    pub expires_text: Option<&'a str>,
    /// How long it may be active.
    pub lease_seconds: Option<i32>,
    /// Now.
    pub created_at: NaiveDateTime,
    /// Now.
    pub updated_at: NaiveDateTime,
    /// Now, if it is active.
    pub activated_at: Option<NaiveDateTime>,
}

/// The changes of a ticket; a field that is `None` stays.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = tickets)]
pub struct TicketChanges {
    /// Its status.
    pub status: Option<&'static str>,
    /// The queue that it holds.
    pub holds: Option<Option<i32>>,
    /// The queue's generation at which it became active.
    pub fence: Option<Option<i64>>,
    /// Any object of the client, as JSON.
    pub extra: Option<Option<String>>,
    /// When its time runs out, in [`micros`].
    pub expires_at: Option<Option<i64>>,
    /// The same as the client spelled it.
    pub expires_text: Option<Option<String>>,
    /// How long it may be active.
    pub lease_seconds: Option<Option<i32>>,
    /// When it became active.
    pub activated_at: Option<Option<NaiveDateTime>>,
}

/// The columns of [`Ticket`], joined.
macro_rules! full_rows {
    () => {
        tickets::table.inner_join(queues::table.on(tickets::queue_id.eq(queues::id))).select((
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

/// The ticket of this uuid.
pub fn find(conn: &mut DbConnection, uuid: &str) -> QueryResult<Option<Ticket>> {
    full_rows!().filter(tickets::uuid.eq(uuid)).get_result(conn).optional()
}

/// The tickets of these uuids, as far as there are such.
pub fn find_several(conn: &mut DbConnection, uuids: &[&str]) -> QueryResult<Vec<Ticket>> {
    super::chunked(uuids, |chunk| load_typed!(conn, full_rows!().filter(tickets::uuid.eq_any(chunk))))
}

/// The tickets of a group, in the order in which its queues are taken.
pub fn list_by_group(conn: &mut DbConnection, group_uuid: &str) -> QueryResult<Vec<Ticket>> {
    full_rows!()
        .filter(tickets::group_uuid.eq(group_uuid))
        .order((queues::owner, queues::scope, queues::resource_id))
        .load(conn)
}

/// The live tickets of a queue, oldest first.
pub fn list_live(conn: &mut DbConnection, queue_id: i32, limit: i64) -> QueryResult<Vec<Ticket>> {
    full_rows!()
        .filter(tickets::queue_id.eq(queue_id))
        .filter(tickets::status.eq_any([QUEUED, ACTIVE]))
        .order(tickets::position)
        .limit(limit)
        .load(conn)
}

/// The oldest tickets of a queue that wait.
pub fn list_heads(conn: &mut DbConnection, queue_id: i32, limit: i64) -> QueryResult<Vec<Ticket>> {
    full_rows!()
        .filter(tickets::queue_id.eq(queue_id))
        .filter(tickets::status.eq(QUEUED))
        .order(tickets::position)
        .limit(limit)
        .load(conn)
}

/// How many tickets of a queue are before this position and still live.
pub fn count_ahead(conn: &mut DbConnection, queue_id: i32, position: i64) -> QueryResult<i64> {
    tickets::table
        .filter(tickets::queue_id.eq(queue_id))
        .filter(tickets::status.eq_any([QUEUED, ACTIVE]))
        .filter(tickets::position.lt(position))
        .count()
        .get_result(conn)
}

/// The uuids of active tickets by their queues.
pub fn find_active(conn: &mut DbConnection, queue_ids: &[i32]) -> QueryResult<Vec<(i32, String)>> {
    let queue_ids: Vec<Option<i32>> = queue_ids.iter().copied().map(Some).collect();
    super::chunked(&queue_ids, |chunk| {
        load_typed!(
            conn,
            tickets::table.filter(tickets::holds.eq_any(chunk)).select((tickets::queue_id, tickets::uuid))
        )
    })
}

/// Which tickets a list is to have.
#[derive(Clone, Debug)]
pub struct TicketFilter {
    /// The queues of the listed tickets.
    pub queues: QueueFilter,
    /// With which status; any, if none is named.
    pub statuses: Vec<&'static str>,
    /// Only those after this place: a queue's row id and a position.
    pub after: Option<(i32, i64)>,
    /// How many at most.
    pub limit: i64,
}

/// The columns of [`Ticket`] of those that a filter lets through, without its limit.
macro_rules! filtered_rows {
    ($filter:expr) => {{
        let filter: &TicketFilter = $filter;
        let mut query = full_rows!().into_boxed::<MultiBackend>();
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
            // The first condition says where the index is entered, so that no page reads those before.
            query = query.filter(tickets::queue_id.ge(queue_id));
            query = query.filter(tickets::queue_id.gt(queue_id).or(tickets::position.gt(position)));
        }
        query
    }};
}

/// Tickets by queue, each queue in its order.
pub fn list(conn: &mut DbConnection, filter: &TicketFilter) -> QueryResult<Vec<Ticket>> {
    filtered_rows!(filter).order((tickets::queue_id, tickets::position)).limit(filter.limit).load(conn)
}

/// Tickets in the order in which they were created, without the first so many.
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

/// Tickets of an owner, from the ends of its queues.
pub fn list_last_by_owner(conn: &mut DbConnection, owner: &str, limit: i64) -> QueryResult<Vec<Ticket>> {
    full_rows!()
        .filter(queues::owner.eq(owner))
        .order((tickets::queue_id, tickets::position.desc()))
        .limit(limit)
        .load(conn)
}

/// The given tickets that are still queued.
pub fn list_queued(conn: &mut DbConnection, uuids: &[String]) -> QueryResult<Vec<String>> {
    super::chunked(uuids, |chunk| {
        load_typed!(
            conn,
            tickets::table
                .filter(tickets::uuid.eq_any(chunk))
                .filter(tickets::status.eq(QUEUED))
                .select(tickets::uuid)
        )
    })
}

/// The given groups that still wait: a ticket is queued, and none has ended.
pub fn list_queued_groups(conn: &mut DbConnection, uuids: &[String]) -> QueryResult<Vec<String>> {
    let members: Vec<(Option<String>, String)> = super::chunked(uuids, |chunk| {
        load_typed!(
            conn,
            tickets::table
                .filter(tickets::group_uuid.eq_any(chunk))
                .select((tickets::group_uuid, tickets::status))
        )
    })?;
    let with = |statuses: &[&str]| -> BTreeSet<String> {
        let members = members.iter().filter(|(_, status)| statuses.contains(&status.as_str()));
        members.filter_map(|(group_uuid, _)| group_uuid.clone()).collect()
    };
    Ok(with(&[QUEUED]).difference(&with(&[FINISHED, EXPIRED])).cloned().collect())
}

/// Inserts a ticket.
pub fn insert(tx: &mut Tx, ticket: &NewTicket<'_>) -> QueryResult<()> {
    tx.touch_expiry(ticket.expires_at.map(from_micros));
    diesel::insert_into(tickets::table).values(ticket).execute(tx.conn())?;
    Ok(())
}

/// Takes the row of a ticket by a write, if the ticket is active: until the transaction ends it stays
/// so. A write, since Galera certifies nothing else.
#[must_use = "a ticket that is not active proves nothing"]
pub fn prove_active(tx: &mut Tx, uuid: &str) -> QueryResult<bool> {
    let sql = "UPDATE waitlist_tickets SET fenced_writes = fenced_writes + 1 WHERE uuid = ? AND status = ?";
    Ok(execute(tx, sql, &[uuid.into(), ACTIVE.into()])? == 1)
}

/// How many tickets are kept alive by one statement.
pub const KEPT_ALIVE_AT_ONCE: usize = 100;

/// Starts the leases of these tickets again, as far as they run while a ticket is queued.
///
/// Generations stay as they are: a client that waits has not changed its ticket, and would not know of
/// a new one.
pub fn keep_alive(tx: &mut Tx, uuids: &[String], now: NaiveDateTime) -> QueryResult<()> {
    restart_leases(tx, "status = 'queued' AND uuid", uuids, now)
}

/// Starts the leases of the tickets of these groups again, those of active tickets as well.
pub fn keep_groups_alive(tx: &mut Tx, uuids: &[String], now: NaiveDateTime) -> QueryResult<()> {
    restart_leases(tx, "status IN ('queued', 'active') AND group_uuid", uuids, now)
}

fn restart_leases(tx: &mut Tx, named: &str, uuids: &[String], now: NaiveDateTime) -> QueryResult<()> {
    let sql = format!(
        "UPDATE waitlist_tickets SET expires_at = ? + ? * lease_seconds \
         WHERE lease_seconds IS NOT NULL AND expires_at IS NOT NULL AND {named}"
    );
    let uuids: Vec<&str> = uuids.iter().map(String::as_str).collect();
    execute_listed(tx, &sql, &[micros(now).into(), 1_000_000_i64.into()], &uuids)?;
    Ok(())
}

/// Deletes a ticket that has ended.
pub fn delete(tx: &mut Tx, ticket: &Ticket) -> QueryResult<usize> {
    tx.touch_turn(&ticket.uuid);
    diesel::delete(tickets::table.filter(tickets::uuid.eq(&ticket.uuid))).execute(tx.conn())
}

/// Deletes tickets that ended before a time, at most so many; returns how many.
pub fn prune(tx: &mut Tx, before: NaiveDateTime, limit: i64) -> QueryResult<usize> {
    let uuids: Vec<String> = tickets::table
        .filter(tickets::status.eq_any([FINISHED, EXPIRED]))
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

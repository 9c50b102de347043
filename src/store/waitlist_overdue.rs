//! Rows of tickets by the time of their expiry.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::DbConnection;
use crate::db::schema::waitlist_tickets as tickets;

use super::load_typed;
use super::ticket::{Status, from_micros, micros};

/// An overdue ticket and its queue.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct Overdue {
    /// The ticket's uuid.
    pub uuid: String,
    /// Row id of its queue.
    pub queue_id: i32,
}

/// The overdue tickets of this status, the earliest expiry first.
///
/// A list has one status, since no database reads the index of two statuses in the order of times.
pub fn list(
    conn: &mut DbConnection,
    status: Status,
    now: NaiveDateTime,
    limit: i64,
) -> QueryResult<Vec<Overdue>> {
    load_typed!(
        conn,
        tickets::table
            .filter(tickets::status.eq(status))
            .filter(tickets::expires_at.le(micros(now)))
            .order(tickets::expires_at)
            .limit(limit)
            .select((tickets::uuid, tickets::queue_id))
    )
}

/// The earliest expiry of all live tickets.
pub fn earliest_expiry(conn: &mut DbConnection) -> QueryResult<Option<NaiveDateTime>> {
    let mut next = None;
    for status in Status::LIVE {
        let found: Vec<Option<i64>> = load_typed!(
            conn,
            tickets::table
                .filter(tickets::status.eq(status))
                .filter(tickets::expires_at.is_not_null())
                .order(tickets::expires_at)
                .limit(1)
                .select(tickets::expires_at)
        )?;
        next = found.into_iter().flatten().chain(next).min();
    }
    Ok(next.map(from_micros))
}

/// The groups among these in which an active ticket has a lease that does not run yet.
pub fn list_idle_groups(conn: &mut DbConnection, uuids: &[&str]) -> QueryResult<Vec<String>> {
    let found: Vec<Option<String>> = super::chunked(uuids, |chunk| {
        load_typed!(
            conn,
            tickets::table
                .filter(tickets::group_uuid.eq_any(chunk))
                .filter(tickets::status.eq(Status::Active))
                .filter(tickets::lease_seconds.is_not_null())
                .filter(tickets::expires_at.is_null())
                .select(tickets::group_uuid)
                .distinct()
        )
    })?;
    Ok(found.into_iter().flatten().collect())
}

//! Queries on tickets by the time of expiry.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::DbConnection;
use crate::db::schema::waitlist_tickets as tickets;

use super::load_typed;
use super::ticket::{Status, from_micros, micros};

/// A live ticket whose expiry has passed, and the ticket's queue.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct Overdue {
    /// The ticket's uuid.
    pub uuid: String,
    /// Row id of the ticket's queue.
    pub queue_id: i32,
}

/// Returns at most `limit` tickets of one status whose expiry has passed, in the order of expiry.
///
/// The query asks for one status, since no database can read two statuses from the index in the order of expiry.
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

/// Counts the live tickets whose expiry passed before the time `before`.
pub fn count(conn: &mut DbConnection, before: NaiveDateTime) -> QueryResult<i64> {
    let mut found = 0;
    for status in Status::LIVE {
        found += tickets::table
            .filter(tickets::status.eq(status))
            .filter(tickets::expires_at.le(micros(before)))
            .count()
            .get_result::<i64>(conn)?;
    }
    Ok(found)
}

/// Returns the earliest expiry of all live tickets. Returns None if no live ticket has an expiry.
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

/// Returns the groups (tickets that were created together) out of `uuids` in which an active ticket has a lease that
/// has not started.
pub fn list_idle_groups(conn: &mut DbConnection, uuids: &[&str]) -> QueryResult<Vec<String>> {
    // The query has no condition on the status, since a database may then read all tickets of this status.
    let found: Vec<(Option<String>, Status)> = super::chunked(uuids, |chunk| {
        load_typed!(
            conn,
            tickets::table
                .filter(tickets::group_uuid.eq_any(chunk))
                .filter(tickets::lease_seconds.is_not_null())
                .filter(tickets::expires_at.is_null())
                .select((tickets::group_uuid, tickets::status))
        )
    })?;
    let active = found.into_iter().filter(|(_, status)| *status == Status::Active);
    Ok(active.filter_map(|(group_uuid, _)| group_uuid).collect::<BTreeSet<_>>().into_iter().collect())
}

//! Lists of tickets and queues, and the lengths of queues.

use std::collections::HashMap;

use crate::db::DbConnection;
use crate::store::ticket::Ticket;
use crate::store::waitlist_queues::{self as queues, Queue};
use crate::store::waitlist_tickets::{self as rows, TicketFilter};

use super::join::check_owner;
use super::{Error, Result};

/// Tickets and their queues, each queue with its active ticket.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The queues of the tickets. The queue that the filter names completely is there even without tickets.
    pub queues: Vec<(Queue, Option<String>)>,
    /// The tickets, by queue and in the order of each queue.
    pub tickets: Vec<Ticket>,
}

/// The lengths of the queues with live tickets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// The number of queues with live tickets.
    pub queues: i64,
    /// The number of active tickets, one in each of these queues.
    pub active: i64,
    /// The number of queued tickets.
    pub queued: i64,
    /// The number of live tickets in the longest queue.
    pub longest: i32,
}

/// The present lengths of the queues.
pub fn lengths(conn: &mut DbConnection) -> Result<Lengths> {
    let (queues, live, longest) = queues::measure(conn)?;
    Ok(Lengths { queues, active: queues, queued: live - queues, longest })
}

/// The ticket of this uuid.
pub fn find(conn: &mut DbConnection, uuid: &str) -> Result<Ticket> {
    rows::find(conn, uuid)?.ok_or_else(|| Error::TicketNotFound(uuid.to_owned()))
}

/// The ticket of this uuid. It must be in a queue of this owner.
pub fn find_of(conn: &mut DbConnection, owner: &str, uuid: &str) -> Result<Ticket> {
    let found = find(conn, uuid)?;
    if found.owner == owner { Ok(found) } else { Err(Error::TicketNotFound(uuid.to_owned())) }
}

/// The tickets and queues that a filter admits. They are of one moment only within a snapshot.
pub fn list(conn: &mut DbConnection, filter: &TicketFilter) -> Result<Listing> {
    if let Some(owner) = &filter.queues.owner {
        check_owner(conn, owner)?;
    }
    let tickets = rows::list(conn, filter)?;
    let mut ids: Vec<i32> = tickets.iter().map(|ticket| ticket.queue_id).collect();
    let named = &filter.queues;
    if let (Some(owner), Some(scope), Some(id)) = (&named.owner, &named.scope, &named.resource_id) {
        ids.extend(queues::find(conn, owner, scope, id)?.map(|queue| queue.id));
    }
    ids.sort_unstable();
    ids.dedup();
    let mut active: HashMap<i32, String> = rows::find_active(conn, &ids)?.into_iter().collect();
    let with_active = |queue: Queue| {
        let holder = active.remove(&queue.id);
        (queue, holder)
    };
    let queues = queues::list_by_ids(conn, &ids)?.into_iter().map(with_active).collect();
    Ok(Listing { queues, tickets })
}

/// The oldest live tickets of a ticket's queue, at most `limit`.
pub fn list_live(conn: &mut DbConnection, ticket: &Ticket, limit: i64) -> Result<Vec<Ticket>> {
    Ok(rows::list_live(conn, ticket.queue_id, limit)?)
}

/// The number of live tickets before this one in its queue.
pub fn ahead(conn: &mut DbConnection, ticket: &Ticket) -> Result<i64> {
    Ok(rows::count_ahead(conn, ticket.queue_id, ticket.position)?)
}

/// The tickets that a filter admits, in the order of their creation, without the first `offset` ones.
pub fn list_by_creation(conn: &mut DbConnection, filter: &TicketFilter, offset: i64) -> Result<Vec<Ticket>> {
    if let Some(owner) = &filter.queues.owner {
        check_owner(conn, owner)?;
    }
    Ok(rows::list_by_creation(conn, filter, offset)?)
}

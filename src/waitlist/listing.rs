//! What there is: tickets and queues.

use std::collections::HashMap;

use crate::db::DbConnection;
use crate::store::waitlist_queues::{self as queues, Queue};
use crate::store::waitlist_tickets::{self as rows, ListFilter, Ticket};

use super::join::check_owner;
use super::{Error, Result};

/// Tickets and their queues, each queue with its active ticket.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The queues of the tickets, and the one that was asked for by all of its names.
    pub queues: Vec<(Queue, Option<String>)>,
    /// The tickets: by queue, each queue in its order.
    pub tickets: Vec<Ticket>,
}

/// How long the queues are that somebody is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// How many queues have live tickets.
    pub queues: i64,
    /// How many tickets are active: one of each of these queues.
    pub active: i64,
    /// How many tickets are queued.
    pub queued: i64,
    /// How many live tickets the longest queue has.
    pub longest: i32,
}

/// How long the queues are now.
pub fn lengths(conn: &mut DbConnection) -> Result<Lengths> {
    let (queues, live, longest) = queues::measure(conn)?;
    Ok(Lengths { queues, active: queues, queued: live - queues, longest })
}

/// The ticket of this uuid.
pub fn find(conn: &mut DbConnection, uuid: &str) -> Result<Ticket> {
    rows::find(conn, uuid)?.ok_or_else(|| Error::TicketNotFound(uuid.to_owned()))
}

/// The ticket of this uuid, if it is this owner's.
pub fn find_of(conn: &mut DbConnection, owner: &str, uuid: &str) -> Result<Ticket> {
    let found = find(conn, uuid)?;
    if found.owner == owner { Ok(found) } else { Err(Error::TicketNotFound(uuid.to_owned())) }
}

/// Tickets and queues that a filter lets through. To be of one moment, it needs a snapshot.
pub fn list(conn: &mut DbConnection, filter: &ListFilter) -> Result<Listing> {
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

/// The live tickets of a ticket's queue, oldest first, at most so many.
pub fn list_live(conn: &mut DbConnection, ticket: &Ticket, limit: i64) -> Result<Vec<Ticket>> {
    Ok(rows::list_live(conn, ticket.queue_id, limit)?)
}

/// How many live tickets are before this one in its queue.
pub fn ahead(conn: &mut DbConnection, ticket: &Ticket) -> Result<i64> {
    Ok(rows::count_ahead(conn, ticket.queue_id, ticket.position)?)
}

/// Tickets that a filter lets through, in the order in which they were created and without the first
/// so many of them.
pub fn list_by_creation(conn: &mut DbConnection, filter: &ListFilter, offset: i64) -> Result<Vec<Ticket>> {
    if let Some(owner) = &filter.queues.owner {
        check_owner(conn, owner)?;
    }
    Ok(rows::list_by_creation(conn, filter, offset)?)
}

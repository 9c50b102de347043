//! Lists of tickets and queues, and the lengths of queues.

use std::collections::HashMap;

use crate::db::DbConnection;
use crate::store::ticket::Ticket;
use crate::store::waitlist_queues::{self as queues, Queue};
use crate::store::waitlist_tickets::{self as rows, TicketFilter};

use super::join::check_owner;
use super::{Error, Result};

/// The answer to a request for a list: tickets and their queues.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The queues of the listed tickets, each with the uuid of its active ticket. If the filter selects one queue by
    /// owner, scope and id, that queue is listed even without any ticket.
    pub queues: Vec<(Queue, Option<String>)>,
    /// The tickets, sorted by queue, and by position within a queue.
    pub tickets: Vec<Ticket>,
}

/// The lengths of all queues with live tickets, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// The number of queues with at least one live ticket.
    pub queues: i64,
    /// The number of active tickets. Each queue with live tickets has exactly one active ticket.
    pub active: i64,
    /// The number of queued tickets in all queues.
    pub queued: i64,
    /// The number of live tickets in the longest queue.
    pub longest: i32,
}

/// Returns the present lengths of the queues.
pub fn lengths(conn: &mut DbConnection) -> Result<Lengths> {
    let (queues, live, longest) = queues::measure(conn)?;
    Ok(Lengths { queues, active: queues, queued: live - queues, longest })
}

/// Returns the ticket of this uuid.
pub fn find(conn: &mut DbConnection, uuid: &str) -> Result<Ticket> {
    rows::find(conn, uuid)?.ok_or_else(|| Error::TicketNotFound(uuid.to_owned()))
}

/// Returns the ticket of this uuid. Fails with [`Error::TicketNotFound`] if its queue belongs to another
/// owner.
pub fn find_of(conn: &mut DbConnection, owner: &str, uuid: &str) -> Result<Ticket> {
    let found = find(conn, uuid)?;
    if found.owner == owner { Ok(found) } else { Err(Error::TicketNotFound(uuid.to_owned())) }
}

/// Returns the tickets that the filter selects, and their queues. The caller should read in a snapshot.
/// Otherwise another transaction may change the queues between the queries.
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

/// Returns the oldest live tickets of the queue of `ticket`, at most `limit` tickets.
pub fn list_live(conn: &mut DbConnection, ticket: &Ticket, limit: i64) -> Result<Vec<Ticket>> {
    Ok(rows::list_live(conn, ticket.queue_id, limit)?)
}

/// Returns the number of live tickets before `ticket` in its queue.
pub fn ahead(conn: &mut DbConnection, ticket: &Ticket) -> Result<i64> {
    Ok(rows::count_ahead(conn, ticket.queue_id, ticket.position)?)
}

/// Returns the tickets that the filter selects, in the order of their creation. The first `offset` tickets
/// are left out.
pub fn list_by_creation(conn: &mut DbConnection, filter: &TicketFilter, offset: i64) -> Result<Vec<Ticket>> {
    if let Some(owner) = &filter.queues.owner {
        check_owner(conn, owner)?;
    }
    Ok(rows::list_by_creation(conn, filter, offset)?)
}

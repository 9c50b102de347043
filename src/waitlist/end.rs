//! The end of tickets by a client: release and deletion. The next ticket of the queue becomes active.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;

use crate::commit::Tx;
use crate::store::generation;
use crate::store::ticket::{Status, Ticket, TicketChanges};
use crate::store::waitlist_tickets as rows;

use super::group::{self, Effects, Group, find_group};
use super::promote::promote;
use super::{Error, Result};

/// Releases an active or queued ticket, and makes the next ticket of its queue active. Returns the released
/// ticket.
///
/// A ticket that has already ended is returned unchanged. If the client stated a generation in `given`, the
/// ticket must have that generation.
pub fn end(tx: &mut Tx, uuid: &str, given: Option<i64>, now: NaiveDateTime) -> Result<Ticket> {
    let ticket = find(tx, uuid)?;
    if !ticket.is_live() {
        return Ok(ticket);
    }
    check_given(&ticket, given)?;
    end_all(tx, std::slice::from_ref(&ticket), Status::Finished, now)?;
    find(tx, uuid)
}

/// Releases all live tickets of a group, both active and queued. If `given` is a generation, the group must
/// have that generation. Returns the group after the release.
pub fn end_group(tx: &mut Tx, uuid: &str, given: Option<i64>, now: NaiveDateTime) -> Result<Group> {
    let group = find_group(tx, uuid)?;
    let live: Vec<Ticket> = group.tickets.iter().filter(|ticket| ticket.is_live()).cloned().collect();
    if live.is_empty() {
        return Ok(group);
    }
    group::check_given(&group, given)?;
    end_all(tx, &live, Status::Finished, now)?;
    find_group(tx, uuid)
}

/// Releases a ticket and then deletes its row.
pub fn remove(tx: &mut Tx, uuid: &str, now: NaiveDateTime) -> Result<()> {
    let ticket = end(tx, uuid, None, now)?;
    rows::delete(tx, &ticket)?;
    Ok(())
}

/// Releases and deletes at most `limit` tickets of an owner. Returns the number of deleted tickets.
///
/// In each queue, the last tickets are deleted first, so that no ticket becomes active just before its own
/// deletion.
pub fn remove_some(tx: &mut Tx, owner: &str, limit: i64, now: NaiveDateTime) -> Result<usize> {
    let tickets = rows::list_last_by_owner(tx, owner, limit)?;
    let live: Vec<Ticket> = tickets.iter().filter(|ticket| ticket.is_live()).cloned().collect();
    end_all(tx, &live, Status::Finished, now)?;
    for ticket in &tickets {
        rows::delete(tx, ticket)?;
    }
    Ok(tickets.len())
}

fn find(tx: &mut Tx, uuid: &str) -> Result<Ticket> {
    rows::find(tx, uuid)?.ok_or_else(|| Error::TicketNotFound(uuid.to_owned()))
}

/// Fails if `given` is a generation and the ticket has another generation.
pub(super) fn check_given(ticket: &Ticket, given: Option<i64>) -> Result<()> {
    match given {
        Some(given) if given != ticket.generation => {
            Err(Error::TicketGeneration { uuid: ticket.uuid.clone(), actual: ticket.generation, given })
        }
        _ => Ok(()),
    }
}

/// Ends live tickets with the status `how`. First all queues of the tickets are locked, in the order that
/// every transaction uses: by owner, scope and id. Then the tickets are ended, and the next ticket of each
/// queue becomes active.
pub(super) fn end_all(tx: &mut Tx, tickets: &[Ticket], how: Status, now: NaiveDateTime) -> Result<()> {
    let mut ordered: Vec<&Ticket> = tickets.iter().collect();
    ordered.sort_by(|a, b| (&a.owner, &a.scope, &a.resource_id).cmp(&(&b.owner, &b.scope, &b.resource_id)));
    for ticket in &ordered {
        leave(tx, ticket)?;
    }
    let mut effects = Effects::default();
    let mut vacant = BTreeMap::new();
    for ticket in &ordered {
        close(tx, ticket, how, now)?;
        effects.ended.extend(ticket.group_uuid.clone());
        if ticket.status == Status::Active {
            vacant.insert((&ticket.owner, &ticket.scope, &ticket.resource_id), ticket.queue_id);
        }
    }
    for queue_id in vacant.into_values() {
        promote(tx, queue_id, now, &mut effects)?;
    }
    group::settle(tx, &effects, now)
}

/// Locks the queue of a ticket that is about to end. The queue's number of live tickets falls by one, and the queue's
/// generation grows by one.
fn leave(tx: &mut Tx, ticket: &Ticket) -> Result<()> {
    if generation::bump_queue(tx, ticket.queue_id, -1)? { Ok(()) } else { Err(Error::lost_race()) }
}

/// Gives a ticket the status `how`. The caller must have locked the ticket's queue. If the ticket has changed since
/// it was read, the transaction runs again.
fn close(tx: &mut Tx, ticket: &Ticket, how: Status, now: NaiveDateTime) -> Result<()> {
    let changes = TicketChanges { status: Some(how), holds: Some(None), ..TicketChanges::default() };
    if generation::swap_ticket(tx, ticket, now, changes)? { Ok(()) } else { Err(Error::lost_race()) }
}

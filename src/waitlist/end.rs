//! The end of tickets by a client: release and deletion. The next ticket of the queue becomes active.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;

use crate::commit::Tx;
use crate::store::generation;
use crate::store::ticket::{Status, Ticket, TicketChanges, micros};
use crate::store::waitlist_queues as queues;
use crate::store::waitlist_tickets as rows;

use super::group::{self, Effects};
use super::join::lease_end;
use super::{Error, Result, expire};

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

/// Makes the oldest ticket of a queue active. If the oldest tickets are overdue, these tickets expire first.
///
/// Fails with [`Error::Crowded`] if one transaction can't end so many overdue tickets.
pub(super) fn promote(tx: &mut Tx, queue_id: i32, now: NaiveDateTime, effects: &mut Effects) -> Result<()> {
    let mut head = rows::list_heads(tx, queue_id, 1)?.pop();
    if head.as_ref().is_some_and(|head| head.is_overdue(now)) {
        head = expire::pass_by(tx, queue_id, now, effects)?;
    }
    match head {
        Some(head) => activate(tx, &head, now, effects),
        None => Ok(()),
    }
}

fn activate(tx: &mut Tx, head: &Ticket, now: NaiveDateTime, effects: &mut Effects) -> Result<()> {
    let queue = queues::find_by_id(tx, head.queue_id)?.ok_or_else(Error::lost_race)?;
    let runs = head.lease_seconds.filter(|_| head.group_uuid.is_none());
    let changes = TicketChanges {
        status: Some(Status::Active),
        holds: Some(Some(head.queue_id)),
        fence: Some(Some(queue.generation)),
        expires_at: runs.map(|seconds| Some(micros(lease_end(now, seconds)))),
        activated_at: Some(Some(now)),
        ..TicketChanges::default()
    };
    debug_assert_eq!(head.status, Status::Queued);
    effects.activated.extend(head.group_uuid.clone());
    // If somebody has just renewed the ticket, this update fails. The transaction then runs again and reads the
    // renewed ticket.
    if generation::swap_ticket(tx, head, now, changes)? { Ok(()) } else { Err(Error::lost_race()) }
}

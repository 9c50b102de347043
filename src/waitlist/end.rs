//! The end of tickets: release and removal. The next ticket becomes active.

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

/// Releases a ticket, active or queued. The next ticket becomes active in the same step. A ticket that has
/// ended stays as it is. Returns the ticket after that.
///
/// `given` is the generation that the client saw.
pub fn end(tx: &mut Tx, uuid: &str, given: Option<i64>, now: NaiveDateTime) -> Result<Ticket> {
    let ticket = find(tx, uuid)?;
    if !ticket.is_live() {
        return Ok(ticket);
    }
    check_given(&ticket, given)?;
    end_all(tx, std::slice::from_ref(&ticket), Status::Finished, now)?;
    find(tx, uuid)
}

/// Ends a live ticket, and deletes the ticket.
pub fn remove(tx: &mut Tx, uuid: &str, now: NaiveDateTime) -> Result<()> {
    let ticket = end(tx, uuid, None, now)?;
    rows::delete(tx, &ticket)?;
    Ok(())
}

/// Ends and deletes at most `limit` tickets of an owner, and returns their number. The last tickets of the
/// queues go first, so that none becomes active only to be removed.
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

/// Refuses a generation that differs from the ticket's.
pub(super) fn check_given(ticket: &Ticket, given: Option<i64>) -> Result<()> {
    match given {
        Some(given) if given != ticket.generation => {
            Err(Error::TicketGeneration { uuid: ticket.uuid.clone(), actual: ticket.generation, given })
        }
        _ => Ok(()),
    }
}

/// Ends live tickets. First it locks their queues, in the order that all transactions use. Then it changes the
/// tickets, and makes the next ones active.
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

/// Locks a ticket's queue, which gets one ticket shorter and one generation further.
fn leave(tx: &mut Tx, ticket: &Ticket) -> Result<()> {
    if generation::bump_queue(tx, ticket.queue_id, -1)? { Ok(()) } else { Err(Error::lost_race()) }
}

/// Ends a ticket whose queue is locked. If the ticket has changed since it was read, the transaction runs
/// again.
fn close(tx: &mut Tx, ticket: &Ticket, how: Status, now: NaiveDateTime) -> Result<()> {
    let changes = TicketChanges { status: Some(how), holds: Some(None), ..TicketChanges::default() };
    if generation::swap_ticket(tx, ticket, now, changes)? { Ok(()) } else { Err(Error::lost_race()) }
}

/// Makes the oldest ticket of a queue active. Overdue tickets before it expire, and each is a step of the
/// queue's generation. If they are too many for one transaction, the error is [`Error::Crowded`].
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
    // Otherwise the ticket was renewed a moment ago, and the second run sees that.
    if generation::swap_ticket(tx, head, now, changes)? { Ok(()) } else { Err(Error::lost_race()) }
}

//! The turn of the next ticket: the oldest ticket of a queue becomes active, and overdue tickets before it expire.

use chrono::NaiveDateTime;

use crate::commit::Tx;
use crate::store::generation;
use crate::store::ticket::{Status, Ticket, TicketChanges, micros};
use crate::store::waitlist_queues as queues;
use crate::store::waitlist_tickets as rows;

use super::group::Effects;
use super::term::lease_end;
use super::{Error, Result};

/// The largest number of tickets that one transaction ends.
pub const EXPIRED_AT_ONCE: usize = 200;

/// Makes the oldest ticket of a queue active. If the oldest tickets are overdue, these tickets expire first.
///
/// Fails with [`Error::Crowded`] if one transaction can't end so many overdue tickets.
pub(super) fn promote(tx: &mut Tx, queue_id: i32, now: NaiveDateTime, effects: &mut Effects) -> Result<()> {
    let mut head = rows::list_heads(tx, queue_id, 1)?.pop();
    if head.as_ref().is_some_and(|head| head.is_overdue(now)) {
        head = pass_by(tx, queue_id, now, effects)?;
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

/// Ends the overdue tickets at the front of a queue, and returns the first ticket that is not overdue. The
/// caller must have locked the queue.
fn pass_by(tx: &mut Tx, queue_id: i32, now: NaiveDateTime, effects: &mut Effects) -> Result<Option<Ticket>> {
    let heads = rows::list_heads(tx, queue_id, EXPIRED_AT_ONCE as i64 + 1)?;
    let number = overdue_heads(&heads, now);
    effects.passed_by += number;
    if effects.passed_by > EXPIRED_AT_ONCE {
        return Err(Error::Crowded(queue_id));
    }
    let (overdue, rest) = heads.split_at(number);
    end_heads(tx, queue_id, overdue, now, effects)?;
    Ok(rest.first().cloned())
}

/// Returns the number of overdue tickets before the first ticket that is not overdue.
pub(super) fn overdue_heads(heads: &[Ticket], now: NaiveDateTime) -> usize {
    heads.iter().take_while(|ticket| ticket.is_overdue(now)).count()
}

pub(super) fn end_heads(
    tx: &mut Tx,
    queue_id: i32,
    overdue: &[Ticket],
    now: NaiveDateTime,
    effects: &mut Effects,
) -> Result<()> {
    // The number fits into 32 bits, since it is at most [`EXPIRED_AT_ONCE`].
    let number = i32::try_from(overdue.len()).unwrap_or(i32::MAX);
    if number > 0 && !generation::leave_queue(tx, queue_id, number)? {
        return Err(Error::lost_race());
    }
    close(tx, overdue, now, effects)
}

/// Marks tickets as expired. The caller must have locked the tickets' queues. If a ticket has changed since
/// it was read, the transaction runs again.
pub(super) fn close(
    tx: &mut Tx,
    overdue: &[Ticket],
    now: NaiveDateTime,
    effects: &mut Effects,
) -> Result<()> {
    let uuids: Vec<&str> = overdue.iter().map(|ticket| ticket.uuid.as_str()).collect();
    if generation::expire_tickets(tx, &uuids, now)? != uuids.len() {
        return Err(Error::lost_race());
    }
    effects.ended.extend(overdue.iter().filter_map(|ticket| ticket.group_uuid.clone()));
    Ok(())
}

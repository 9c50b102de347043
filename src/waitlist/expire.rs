//! The end of overdue tickets. One transaction ends many tickets with a few statements.
//!
//! The number of tickets in one transaction is limited, since a client that joins one of the queues waits
//! until the transaction has committed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDateTime;

use crate::commit::Tx;
use crate::store::generation;
use crate::store::ticket::Status;
use crate::store::waitlist_overdue::Overdue;
use crate::store::waitlist_queues as queues;
use crate::store::waitlist_tickets as rows;

use super::group::{self, Effects};
use super::promote::{EXPIRED_AT_ONCE, close, end_heads, overdue_heads, promote};
use super::{Error, Result};

/// Ends those of `tickets` that are still overdue, and makes the next tickets of their queues active. The
/// generation of a queue grows by one for each ticket that ends.
///
/// Fails with [`Error::Crowded`], and changes nothing, if too many other tickets must end before the next
/// ticket of a queue can become active.
pub fn expire(tx: &mut Tx, tickets: &[Overdue], now: NaiveDateTime) -> Result<()> {
    let expected = count(tickets.iter().map(|ticket| ticket.queue_id));
    lock_queues(tx, &expected)?;
    // Another transaction may have ended or renewed a ticket before the queues were locked. So the tickets
    // are read again.
    let uuids: Vec<&str> = tickets.iter().map(|ticket| ticket.uuid.as_str()).collect();
    let mut overdue = rows::find_several(tx, &uuids)?;
    overdue.retain(|ticket| ticket.is_live() && ticket.is_overdue(now));
    let ends = count(overdue.iter().map(|ticket| ticket.queue_id));
    for (queue_id, number) in &expected {
        let too_many = number - ends.get(queue_id).copied().unwrap_or_default();
        if too_many != 0 && !generation::leave_queue(tx, *queue_id, -too_many)? {
            return Err(Error::lost_race());
        }
    }
    let mut effects = Effects::default();
    close(tx, &overdue, now, &mut effects)?;
    let vacant: BTreeSet<i32> = overdue
        .iter()
        .filter(|ticket| ticket.status == Status::Active)
        .map(|ticket| ticket.queue_id)
        .collect();
    let vacant: Vec<i32> = vacant.into_iter().collect();
    for queue in queues::list_by_ids(tx, &vacant)?.iter().filter(|queue| queue.live > 0) {
        promote(tx, queue.id, now, &mut effects)?;
    }
    group::settle(tx, &effects, now)
}

/// Ends overdue tickets at the front of a queue, at most [`EXPIRED_AT_ONCE`] tickets. Returns whether the
/// queue may have more overdue tickets.
pub fn expire_heads(tx: &mut Tx, queue_id: i32, now: NaiveDateTime) -> Result<bool> {
    if !generation::leave_queue(tx, queue_id, 0)? {
        return Ok(false);
    }
    let mut effects = Effects::default();
    let heads = rows::list_heads(tx, queue_id, EXPIRED_AT_ONCE as i64)?;
    let (overdue, _) = heads.split_at(overdue_heads(&heads, now));
    end_heads(tx, queue_id, overdue, now, &mut effects)?;
    group::settle(tx, &effects, now)?;
    Ok(overdue.len() == EXPIRED_AT_ONCE)
}

/// Counts how often each number occurs.
fn count(numbers: impl Iterator<Item = i32>) -> BTreeMap<i32, i32> {
    let mut counts = BTreeMap::new();
    numbers.for_each(|number| *counts.entry(number).or_default() += 1);
    counts
}

/// Locks queues in the order that every transaction uses: by owner, scope and id. `leaving` maps the row id of each
/// queue to the number of its tickets that will end. The queue's count of live tickets falls by that number.
fn lock_queues(tx: &mut Tx, leaving: &BTreeMap<i32, i32>) -> Result<()> {
    let ids: Vec<i32> = leaving.keys().copied().collect();
    let mut ordered = queues::list_by_ids(tx, &ids)?;
    ordered.sort_by(|a, b| (&a.owner, &a.scope, &a.resource_id).cmp(&(&b.owner, &b.scope, &b.resource_id)));
    for queue in ordered {
        let number = leaving.get(&queue.id).copied().unwrap_or_default();
        if !generation::leave_queue(tx, queue.id, number)? {
            return Err(Error::lost_race());
        }
    }
    Ok(())
}

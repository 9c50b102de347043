//! Groups of tickets. A client creates the tickets of a group, each in another queue, in one request, and
//! waits until all these tickets are active.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;

use crate::commit::Tx;
use crate::db::DbConnection;
use crate::store::ticket::{Status, Ticket, TicketChanges, micros};
use crate::store::{
    generation, waitlist_overdue as overdue, waitlist_queues as stored, waitlist_tickets as rows,
};

use super::term::lease_end;
use super::{Error, Result};

/// A group with its tickets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The uuid of the group.
    pub uuid: String,
    /// The generation of the group. Each transaction that changes the status of a ticket of the group, or
    /// renews the group, increments the generation.
    pub generation: i64,
    /// The tickets, sorted by owner, scope and id of their queues.
    pub tickets: Vec<Ticket>,
}

impl Group {
    /// Returns the status of the group. If a ticket has ended, the status is that of the ended ticket.
    /// Otherwise the status is [`Status::Queued`] if a ticket is queued, and [`Status::Active`] if all
    /// tickets are active.
    pub fn status(&self) -> Status {
        let has = |status| self.tickets.iter().any(|ticket| ticket.status == status);
        [Status::Expired, Status::Finished, Status::Queued]
            .into_iter()
            .find(|status| has(*status))
            .unwrap_or(Status::Active)
    }
}

/// Returns the group of this uuid.
pub fn find_group(conn: &mut DbConnection, uuid: &str) -> Result<Group> {
    let missing = || Error::GroupNotFound(uuid.to_owned());
    let generation = stored::find_group(conn, uuid)?.ok_or_else(missing)?;
    let tickets = rows::list_by_group(conn, uuid)?;
    if tickets.is_empty() {
        return Err(missing());
    }
    Ok(Group { uuid: uuid.to_owned(), generation, tickets })
}

/// Fails if `given` is a generation and the group has another generation.
pub(super) fn check_given(group: &Group, given: Option<i64>) -> Result<()> {
    match given {
        Some(given) if given != group.generation => {
            Err(Error::GroupGeneration { uuid: group.uuid.clone(), actual: group.generation, given })
        }
        _ => Ok(()),
    }
}

/// The groups whose tickets one transaction has changed. [`settle`] updates these groups at the end of the
/// transaction.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// The uuids of groups in which a ticket has become active.
    pub activated: BTreeSet<String>,
    /// The uuids of groups in which a ticket has ended.
    pub ended: BTreeSet<String>,
    /// The number of queued tickets that would have become active, but were overdue and expired.
    pub passed_by: usize,
}

/// Increments the generations of all groups in `effects`. If no ticket of a group is queued any more, starts
/// the leases of its active tickets.
///
/// The rows of the groups are locked before their tickets are read. Two transactions may make tickets of one
/// group active at the same time. The second transaction then sees both active tickets, and starts the
/// leases.
pub(super) fn settle(tx: &mut Tx, effects: &Effects, now: NaiveDateTime) -> Result<()> {
    let all: Vec<&str> = effects.activated.union(&effects.ended).map(String::as_str).collect();
    if all.is_empty() {
        return Ok(());
    }
    generation::bump_groups(tx, &all)?;
    // The end of a queued ticket can start the leases of its group. One query finds such groups, because most groups
    // in `ended` have no lease to start.
    let ended: Vec<&str> = effects.ended.iter().map(String::as_str).collect();
    let mut complete: BTreeSet<String> = overdue::list_idle_groups(tx, &ended)?.into_iter().collect();
    complete.extend(effects.activated.iter().cloned());
    for uuid in complete {
        let tickets = rows::list_by_group(tx, &uuid)?;
        if tickets.iter().all(|ticket| ticket.status != Status::Queued) {
            start_leases(tx, &tickets, now)?;
        }
    }
    Ok(())
}

/// Starts the leases of active tickets whose lease does not run yet. If all tickets of the group are active,
/// also restarts the leases that already ran while tickets were queued.
pub(super) fn start_leases(tx: &mut Tx, tickets: &[Ticket], now: NaiveDateTime) -> Result<()> {
    let all_active = tickets.iter().all(|ticket| ticket.status == Status::Active);
    for ticket in tickets {
        let Some(seconds) = ticket.lease_seconds else { continue };
        if ticket.status != Status::Active || (ticket.expires_at.is_some() && !all_active) {
            continue;
        }
        let end = micros(lease_end(now, seconds));
        let changes = TicketChanges { expires_at: Some(Some(end)), ..TicketChanges::default() };
        if !generation::swap_ticket(tx, ticket, now, changes)? {
            return Err(Error::lost_race());
        }
    }
    Ok(())
}

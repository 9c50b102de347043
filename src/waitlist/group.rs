//! Effects: tickets of several queues that are created together, and waited for together.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;

use crate::db::{DbConnection, Tx};
use crate::store::waitlist_tickets::{self as rows, ACTIVE, Changes, EXPIRED, FINISHED, QUEUED, Ticket};
use crate::store::{generation, waitlist_overdue as overdue, waitlist_queues as stored};

use super::end::end_all;
use super::join::lease_end;
use super::renew::{Renewal, change};
use super::{Error, Result};

/// Tickets that were created together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The uuid under which clients know it.
    pub uuid: String,
    /// Its generation: one more when a ticket changes its status, or when it is renewed.
    pub generation: i64,
    /// Its tickets, in the order of their queues.
    pub tickets: Vec<Ticket>,
}

impl Group {
    /// [`ACTIVE`] if all its tickets are; how one has ended, if one has; [`QUEUED`] otherwise.
    pub fn status(&self) -> &'static str {
        let has = |status| self.tickets.iter().any(|ticket| ticket.status == status);
        [EXPIRED, FINISHED, QUEUED].into_iter().find(|status| has(*status)).unwrap_or(ACTIVE)
    }
}

/// The group of this uuid.
pub fn find_group(conn: &mut DbConnection, uuid: &str) -> Result<Group> {
    let missing = || Error::GroupNotFound(uuid.to_owned());
    let generation = stored::find_group(conn, uuid)?.ok_or_else(missing)?;
    let tickets = rows::list_by_group(conn, uuid)?;
    if tickets.is_empty() {
        return Err(missing());
    }
    Ok(Group { uuid: uuid.to_owned(), generation, tickets })
}

/// Releases all tickets of a group that are live, those that wait too.
pub fn end_group(tx: &mut Tx, uuid: &str, given: Option<i64>, now: NaiveDateTime) -> Result<Group> {
    let group = find_group(tx, uuid)?;
    let live: Vec<Ticket> = group.tickets.iter().filter(|ticket| ticket.is_live()).cloned().collect();
    if live.is_empty() {
        return Ok(group);
    }
    check_given(&group, given)?;
    end_all(tx, &live, FINISHED, now)?;
    find_group(tx, uuid)
}

/// Renews all tickets of a group; none may have ended.
pub fn renew_group(
    tx: &mut Tx,
    uuid: &str,
    given: Option<i64>,
    renewal: &Renewal,
    now: NaiveDateTime,
) -> Result<Group> {
    let group = find_group(tx, uuid)?;
    if let Some(ended) = group.tickets.iter().find(|ticket| !ticket.is_live()) {
        return Err(Error::Ended { uuid: ended.uuid.clone(), status: ended.status.clone() });
    }
    check_given(&group, given)?;
    for ticket in &group.tickets {
        change(tx, ticket, renewal, now)?;
    }
    if !generation::swap_group(tx, uuid, group.generation)? {
        return Err(Error::lost_race());
    }
    find_group(tx, uuid)
}

fn check_given(group: &Group, given: Option<i64>) -> Result<()> {
    match given {
        Some(given) if given != group.generation => {
            Err(Error::GroupGeneration { uuid: group.uuid.clone(), actual: group.generation, given })
        }
        _ => Ok(()),
    }
}

/// The effects of ended tickets on groups and metrics, which a transaction has to see to.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Groups of which a ticket has become active.
    pub activated: BTreeSet<String>,
    /// Groups of which a ticket has ended.
    pub ended: BTreeSet<String>,
    /// How many tickets were passed by, since their time had run out, when it was their turn.
    pub passed_by: usize,
}

/// Notes that tickets of groups have changed their status, and starts the leases of the groups in which no
/// ticket is queued any more. The groups' rows are taken before their tickets are looked at: if two tickets
/// become active at once, in different queues, one transaction sees the other's.
pub(super) fn settle(tx: &mut Tx, effects: &Effects, now: NaiveDateTime) -> Result<()> {
    let all: Vec<&str> = effects.activated.union(&effects.ended).map(String::as_str).collect();
    if all.is_empty() {
        return Ok(());
    }
    generation::bump_groups(tx, &all)?;
    // Many tickets may have ended at once, and few groups have a lease that waited for that.
    let ended: Vec<&str> = effects.ended.iter().map(String::as_str).collect();
    let mut complete: BTreeSet<String> = overdue::list_idle_groups(tx, &ended)?.into_iter().collect();
    complete.extend(effects.activated.iter().cloned());
    for uuid in complete {
        let tickets = rows::list_by_group(tx, &uuid)?;
        if tickets.iter().all(|ticket| ticket.status != QUEUED) {
            start_leases(tx, &tickets, now)?;
        }
    }
    Ok(())
}

/// Starts the leases of active tickets that do not run yet. If all tickets are active, the last one has
/// become so now, and leases that ran while it was queued start again.
pub(super) fn start_leases(tx: &mut Tx, tickets: &[Ticket], now: NaiveDateTime) -> Result<()> {
    let all_active = tickets.iter().all(|ticket| ticket.status == ACTIVE);
    for ticket in tickets {
        let Some(seconds) = ticket.lease_seconds else { continue };
        if ticket.status != ACTIVE || (ticket.expires_at.is_some() && !all_active) {
            continue;
        }
        let end = rows::micros(lease_end(now, seconds));
        let changes = Changes { expires_at: Some(Some(end)), ..Changes::default() };
        if !generation::swap_ticket(tx, ticket, now, changes)? {
            return Err(Error::lost_race());
        }
    }
    Ok(())
}

//! The renewal of tickets.

use chrono::NaiveDateTime;

use crate::commit::Tx;
use crate::store::generation;
use crate::store::ticket::{Status, Ticket, TicketChanges, micros};
use crate::store::waitlist_tickets as rows;

use super::end::check_given;
use super::group::{self, Group, find_group};
use super::term::Term;
use super::{Error, Result};

/// The changes that a client makes to a ticket when the client renews it.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    /// The new rule of expiry. If `None`, a running lease starts anew with its present length, and a lease
    /// that does not run stays unchanged.
    pub term: Option<Term>,
    /// The time of expiry as the client wrote it. Some answers repeat this text.
    pub expires_text: Option<String>,
    /// More data of the client, as JSON. `None` keeps the present data, and `Some(None)` removes the data.
    pub extra: Option<Option<String>>,
}

/// Renews a live ticket. If `given` is a generation, the ticket must have that generation. Returns the ticket
/// after the renewal.
pub fn renew(
    tx: &mut Tx,
    uuid: &str,
    given: Option<i64>,
    renewal: &Renewal,
    now: NaiveDateTime,
) -> Result<Ticket> {
    let missing = || Error::TicketNotFound(uuid.to_owned());
    let ticket = rows::find(tx, uuid)?.ok_or_else(missing)?;
    if !ticket.is_live() {
        return Err(Error::Ended { uuid: ticket.uuid, status: ticket.status });
    }
    check_given(&ticket, given)?;
    change(tx, &ticket, renewal, now)?;
    rows::find(tx, uuid)?.ok_or_else(missing)
}

/// Renews all tickets of a group. Fails with [`Error::Ended`] if a ticket of the group has ended.
pub fn renew_group(
    tx: &mut Tx,
    uuid: &str,
    given: Option<i64>,
    renewal: &Renewal,
    now: NaiveDateTime,
) -> Result<Group> {
    let group = find_group(tx, uuid)?;
    if let Some(ended) = group.tickets.iter().find(|ticket| !ticket.is_live()) {
        return Err(Error::Ended { uuid: ended.uuid.clone(), status: ended.status });
    }
    group::check_given(&group, given)?;
    for ticket in &group.tickets {
        change(tx, ticket, renewal, now)?;
    }
    if !generation::swap_group(tx, uuid, group.generation)? {
        return Err(Error::lost_race());
    }
    find_group(tx, uuid)
}

/// Changes a live ticket. If the ticket has changed since it was read, the transaction runs again.
pub(super) fn change(tx: &mut Tx, ticket: &Ticket, renewal: &Renewal, now: NaiveDateTime) -> Result<()> {
    // Whether the renewed lease runs from now on. A present lease runs if it has a time of expiry. Otherwise
    // it starts later, when the ticket or all tickets of its group are active. If the ticket has no lease
    // yet, the new lease runs at once only if the ticket is active.
    let runs = match ticket.lease_seconds {
        Some(_) => ticket.expires_at.is_some(),
        None => ticket.status == Status::Active,
    };
    let term = renewal.term.or(ticket.lease_seconds.filter(|_| runs).map(Term::Lease));
    let mut changes = TicketChanges { extra: renewal.extra.clone(), ..TicketChanges::default() };
    if let Some(term) = term {
        let (expires_at, lease_seconds) = term.columns(now, runs);
        changes.expires_at = Some(expires_at.map(micros));
        changes.lease_seconds = Some(lease_seconds);
        changes.expires_text = Some(renewal.expires_text.clone());
    }
    // If another transaction has renewed or ended the ticket, this update fails, and the transaction runs again.
    if generation::swap_ticket(tx, ticket, now, changes)? { Ok(()) } else { Err(Error::lost_race()) }
}

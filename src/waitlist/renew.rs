//! The renewal of tickets.

use chrono::NaiveDateTime;

use crate::commit::Tx;
use crate::store::generation;
use crate::store::ticket::{Status, Ticket, TicketChanges, micros};
use crate::store::waitlist_tickets as rows;

use super::end::check_given;
use super::join::Term;
use super::{Error, Result};

/// The changes to a ticket that is renewed.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    /// The new lifetime. If it is `None`, a running lease starts again. The lease of a queued ticket runs if it
    /// ran before.
    pub term: Option<Term>,
    /// The end as the client spelled it, if answers repeat that.
    pub expires_text: Option<String>,
    /// Other data of the client, as JSON. `Some(None)` removes the data.
    pub extra: Option<Option<String>>,
}

/// Renews a live ticket. `given` is the generation that the client saw.
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

/// Changes a live ticket.
pub(super) fn change(tx: &mut Tx, ticket: &Ticket, renewal: &Renewal, now: NaiveDateTime) -> Result<()> {
    // A lease with an end runs. A lease without an end waits for the turn, or for other tickets of the group.
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
    // Otherwise another renewal or the end of the ticket was first, and the second run sees that.
    if generation::swap_ticket(tx, ticket, now, changes)? { Ok(()) } else { Err(Error::lost_race()) }
}

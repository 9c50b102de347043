//! Giving tickets more time.

use chrono::NaiveDateTime;

use crate::db::Tx;
use crate::store::generation;
use crate::store::waitlist_tickets::{self as rows, ACTIVE, Changes, Ticket};

use super::end::check_given;
use super::join::Term;
use super::{Error, Result};

/// What is to change of a ticket.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    /// How long it lives from now on. If `None`, a lease that runs starts again. A lease runs in a
    /// ticket that is queued if it did before.
    pub term: Option<Term>,
    /// The end of its time as the client spelled it, if that is to be told again.
    pub expires_text: Option<String>,
    /// What else the client has to say, as JSON: `Some(None)` for nothing any more.
    pub extra: Option<Option<String>>,
}

/// Renews a ticket that is live. `given` is the generation that the client saw.
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

/// Changes a ticket that is live.
pub(super) fn change(tx: &mut Tx, ticket: &Ticket, renewal: &Renewal, now: NaiveDateTime) -> Result<()> {
    // A lease that has an end runs. One that has none waits for the turn, or for others of the group.
    let runs = match ticket.lease_seconds {
        Some(_) => ticket.expires_at.is_some(),
        None => ticket.status == ACTIVE,
    };
    let term = renewal.term.or(ticket.lease_seconds.filter(|_| runs).map(Term::Lease));
    let mut changes = Changes { extra: renewal.extra.clone(), ..Changes::default() };
    if let Some(term) = term {
        let (expires_at, lease_seconds) = term.columns(now, runs);
        changes.expires_at = Some(expires_at.map(rows::micros));
        changes.lease_seconds = Some(lease_seconds);
        changes.expires_text = Some(renewal.expires_text.clone());
    }
    // Another renewal, or the end of the ticket, was first: the second run sees it.
    if generation::swap_ticket(tx, ticket, now, changes)? { Ok(()) } else { Err(Error::lost_race()) }
}

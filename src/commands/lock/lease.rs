//! The lease of an active ticket: the time for which the ticket is certainly active.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::queue::{ANSWERING, Queue, Status, Ticket};
use super::terms::Terms;
use super::{Pauses, complain};
use crate::commands::clock::Moment;
use crate::commands::failure::Failure;

/// The time limit for the release of the ticket.
const RELEASING: Duration = Duration::from_secs(10);
/// The shortest time limit for a renewal.
const HASTE: Duration = Duration::from_millis(500);

/// The lease of an active ticket.
pub struct Lease {
    ticket: Ticket,
    terms: Terms,
    /// The moment before the request that started the lease was sent. The service starts the lease later, when the
    /// request arrives. So the lease never ends before the end that this process computes.
    since: Moment,
}

/// The reason why a ticket was lost.
#[derive(Debug)]
pub enum Lost {
    /// The lease could not be renewed in time. The text is the cause.
    Unrenewed(String),
    /// The service says that the ticket has expired. Another client's ticket may already be active.
    Expired,
    /// Another client has ended the ticket. The text is `released` or `deleted`.
    Ended(&'static str),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Unrenewed(cause) => {
                write!(f, "the ticket is lost, it could not be renewed in time: {cause}")
            }
            Lost::Expired => write!(f, "the ticket is lost, it expired"),
            Lost::Ended(how) => write!(f, "the ticket is lost, somebody else {how} it"),
        }
    }
}

impl Lease {
    /// Makes the lease of an active ticket. `since` is a moment before the ticket became active.
    pub fn new(queue: &Queue, ticket: Ticket, since: Moment) -> Lease {
        Lease { ticket, terms: queue.terms(), since }
    }

    /// Returns the ticket.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Returns the terms of the lease: the time for renewals, the grace and the margin.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// Returns the moment at which all processes of the command must have ended.
    pub fn over_at(&self) -> Moment {
        // The sum never overflows, since `Terms` refuses leases that are too long for the clock.
        let end = self.since.after(self.terms.lease()).unwrap_or(self.since);
        end.before(self.terms.margin())
    }

    /// Returns the moment at which the command gets SIGTERM, unless the lease is renewed before.
    pub fn stop_at(&self) -> Moment {
        self.over_at().before(self.terms.grace())
    }

    /// Sleeps until the lease must be renewed, and renews it.
    pub async fn keep(&mut self, queue: &Queue) -> Result<(), Lost> {
        if let Some(renew_at) = self.since.after(self.terms.renewal()) {
            renew_at.sleep().await;
        }
        self.renew(queue).await
    }

    /// Renews the lease. If the service does not answer, the request is repeated until the command must get
    /// SIGTERM.
    pub async fn renew(&mut self, queue: &Queue) -> Result<(), Lost> {
        let stop_at = self.stop_at();
        let trouble = Trouble::default();
        tokio::select! {
            biased;
            () = stop_at.sleep() => Err(Lost::Unrenewed(trouble.cause())),
            renewed = self.renew_until(queue, stop_at, &trouble) => renewed,
        }
    }

    async fn renew_until(&mut self, queue: &Queue, stop_at: Moment, trouble: &Trouble) -> Result<(), Lost> {
        let mut pauses = Pauses::new();
        loop {
            let sent = Moment::now();
            trouble.has_asked.set(true);
            let patience = (stop_at.left() / 2).clamp(HASTE, ANSWERING);
            match self.try_renew(queue, patience).await {
                Ok(Status::Active) => {
                    self.since = sent;
                    return Ok(());
                }
                Ok(Status::Expired) => return Err(Lost::Expired),
                Ok(_) => return Err(Lost::Ended("released")),
                Err(Failure::Refused { status: 404, .. }) => return Err(Lost::Ended("deleted")),
                Err(failure) => {
                    trouble.note(&failure);
                    sleep(pauses.next(&failure).min(stop_at.left() / 4)).await;
                }
            }
        }
    }

    /// Sends one renewal. If the service reports a generation conflict, an earlier renewal may have succeeded
    /// although its answer was lost. So the ticket is read, and renewed once more.
    async fn try_renew(&mut self, queue: &Queue, patience: Duration) -> Result<Status, Failure> {
        match queue.renew(&self.ticket, patience).await {
            Ok(ticket) => self.ticket = ticket,
            Err(Failure::Refused { status: 409, .. }) => {
                self.ticket = queue.show(&self.ticket.uuid, patience).await?;
                if self.ticket.status == Status::Active {
                    self.ticket = queue.renew(&self.ticket, patience).await?;
                }
            }
            Err(failure) => return Err(failure),
        }
        Ok(self.ticket.status)
    }

    /// Releases the ticket. If the ticket was deleted before, nothing happens.
    pub async fn release(&self, queue: &Queue) {
        let mut pauses = Pauses::new();
        let mut why = None;
        let releasing = async {
            loop {
                let failure = match queue.release(&self.ticket.uuid).await {
                    Ok(()) | Err(Failure::Refused { status: 404, .. }) => return true,
                    Err(failure) => failure,
                };
                why = Some(failure.to_string());
                if !failure.may_pass() {
                    return false;
                }
                sleep(pauses.next(&failure)).await;
            }
        };
        let is_released = timeout(RELEASING.min(self.terms.lease()), releasing).await.unwrap_or(false);
        if !is_released {
            let why = why.unwrap_or_else(|| "there is no answer".to_owned());
            complain(&format!("the ticket cannot be released and will expire: {why}"));
        }
    }
}

/// The failures during a renewal.
#[derive(Default)]
struct Trouble {
    has_asked: Cell<bool>,
    last: RefCell<Option<String>>,
}

impl Trouble {
    /// Records a failure. Only the first failure is printed.
    fn note(&self, failure: &Failure) {
        if self.last.replace(Some(failure.to_string())).is_none() {
            complain(&format!("the ticket cannot be renewed for now: {failure}"));
        }
    }

    fn cause(&self) -> String {
        let none = if self.has_asked.get() { "there is no answer" } else { "this process was stopped" };
        self.last.take().unwrap_or_else(|| none.to_owned())
    }
}

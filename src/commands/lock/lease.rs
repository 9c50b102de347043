//! An active ticket, and the time for which it is certainly active.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::queue::{ANSWERING, Queue, Status, Ticket};
use super::terms::Terms;
use super::{Pauses, complain};
use crate::commands::clock::Moment;
use crate::commands::failure::Failure;

/// The time for which the release is tried.
const RELEASING: Duration = Duration::from_secs(10);
/// The shortest time that a request is given for its answer.
const HASTE: Duration = Duration::from_millis(500);

/// An active ticket.
pub struct Lease {
    ticket: Ticket,
    terms: Terms,
    /// The earliest moment at which the lease can have begun. The service counts the lease from the arrival of
    /// a request, and this process counts it from the moment before the request was sent.
    since: Moment,
}

/// The reason for which a ticket was lost.
#[derive(Debug)]
pub enum Lost {
    /// The lease could not be renewed in time.
    Unrenewed(String),
    /// The lease is over by the service's clock. Another client may have the turn already.
    Expired,
    /// Another client has ended the ticket.
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
    /// The lease of a ticket that was not active before the moment `since`.
    pub fn new(queue: &Queue, ticket: Ticket, since: Moment) -> Lease {
        Lease { ticket, terms: queue.terms(), since }
    }

    /// The ticket.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// The parts of the lease.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// The moment from which no process of the command may be left.
    pub fn over_at(&self) -> Moment {
        // `Terms` allows only leases that the clock can express.
        let end = self.since.after(self.terms.lease()).unwrap_or(self.since);
        end.before(self.terms.margin())
    }

    /// The moment of SIGTERM, if the lease is not renewed before.
    pub fn stop_at(&self) -> Moment {
        self.over_at().before(self.terms.grace())
    }

    /// Sleeps until the lease is due for renewal, and renews it.
    pub async fn keep(&mut self, queue: &Queue) -> Result<(), Lost> {
        if let Some(renew_at) = self.since.after(self.terms.renewal()) {
            renew_at.sleep().await;
        }
        self.renew(queue).await
    }

    /// Starts the lease again. If the service is away, the request is repeated as long as the command may go
    /// on.
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

    /// Renews the lease. An earlier renewal may have been carried out although its answer was lost.
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

    /// Releases the ticket. A ticket that is gone is no error.
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

/// The failures of a renewal.
#[derive(Default)]
struct Trouble {
    has_asked: Cell<bool>,
    last: RefCell<Option<String>>,
}

impl Trouble {
    /// Notes a failure, and prints it if it is the first one.
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

//! A ticket that is active, and how long that is certain.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::queue::{ANSWERING, Queue, Status, Ticket};
use super::terms::Terms;
use super::{Pauses, complain};
use crate::commands::clock::Moment;
use crate::commands::service::Failure;

/// How long the release is tried.
const RELEASING: Duration = Duration::from_secs(10);
/// The least time in which an answer can be expected.
const HASTE: Duration = Duration::from_millis(500);

/// An active ticket.
pub struct Lease {
    ticket: Ticket,
    terms: Terms,
    /// The earliest moment at which the lease can have begun. The service counts the lease from when a
    /// request came, and this process counts it from when the request was sent.
    since: Moment,
}

/// Why a ticket can be held no longer.
#[derive(Debug)]
pub enum Lost {
    /// The lease could not be renewed in time.
    Unrenewed(String),
    /// The service says that the lease is over, so that somebody else may have the turn already.
    Expired,
    /// Somebody else has ended the ticket.
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
    /// A ticket that, as far as is known, was not active before this moment.
    pub fn new(queue: &Queue, ticket: Ticket, since: Moment) -> Lease {
        Lease { ticket, terms: queue.terms(), since }
    }

    /// The ticket.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// How the lease is divided.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// When no process of the command may be left.
    pub fn over_at(&self) -> Moment {
        // A lease is never too long for a clock.
        let end = self.since.after(self.terms.lease()).unwrap_or(self.since);
        end.before(self.terms.margin())
    }

    /// When the command is told to end, if the lease has not been renewed.
    pub fn stop_at(&self) -> Moment {
        self.over_at().before(self.terms.grace())
    }

    /// Sleeps until it is time to renew the lease, and renews it.
    pub async fn keep(&mut self, queue: &Queue) -> Result<(), Lost> {
        if let Some(renew_at) = self.since.after(self.terms.renewal()) {
            renew_at.sleep().await;
        }
        self.renew(queue).await
    }

    /// Starts the lease again. A service that is away is asked again as long as the command may go on.
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

    /// Renews, also where an earlier renewal was done without its answer having come.
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

    /// Releases the ticket, if it is not gone already.
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
            complain(&format!("the ticket can't be released and will expire: {why}"));
        }
    }
}

/// Why a renewal takes long.
#[derive(Default)]
struct Trouble {
    has_asked: Cell<bool>,
    last: RefCell<Option<String>>,
}

impl Trouble {
    /// Says the first failure.
    fn note(&self, failure: &Failure) {
        if self.last.replace(Some(failure.to_string())).is_none() {
            complain(&format!("the ticket can't be renewed for now: {failure}"));
        }
    }

    fn cause(&self) -> String {
        let none = if self.has_asked.get() { "there is no answer" } else { "this process was stopped" };
        self.last.take().unwrap_or_else(|| none.to_owned())
    }
}

//! A ticket that is active, and how long that is certain.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::queue::{ANSWERING, Queue, Status, Ticket};
use super::{Pauses, complain};
use crate::commands::service::Failure;

/// How long the release is tried.
const RELEASING: Duration = Duration::from_secs(10);
/// A lease shorter than this leaves no time for a second try.
const SHORT: Duration = Duration::from_secs(3);

/// An active ticket.
pub struct Lease {
    ticket: Ticket,
    length: Duration,
    /// Until when the service can't have let it expire: it counts from when a request came, and here
    /// it is counted from when it was sent.
    end: Instant,
}

impl Lease {
    /// A ticket that, as far as is known, was not active before this moment.
    pub fn new(queue: &Queue, ticket: Ticket, since: Instant) -> Lease {
        let length = queue.lease();
        Lease { ticket, length, end: since + length }
    }

    /// The ticket.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Whether the ticket is certain to be active.
    pub fn is_certain(&self) -> bool {
        Instant::now() < self.end
    }

    /// Renews the lease each third of it until the ticket is lost; returns why it was.
    pub async fn keep(&mut self, queue: &Queue) -> String {
        loop {
            sleep_until(self.end - self.length * 2 / 3).await;
            if let Err(why) = self.renew(queue).await {
                return why;
            }
        }
    }

    /// Has the lease start again. A service that is away is asked until the lease is over; then, or if
    /// the ticket has ended, it is an error in words.
    pub async fn renew(&mut self, queue: &Queue) -> Result<(), String> {
        let mut pauses = Pauses::new();
        let mut trouble = None;
        loop {
            let sent = Instant::now();
            let left = self.end.saturating_duration_since(sent);
            if left.is_zero() {
                return Err(match trouble {
                    Some(cause) => format!("the ticket is lost, it could not be renewed in time: {cause}"),
                    None => "the ticket is lost, its lease ran out".to_owned(),
                });
            }
            let patience = if left < SHORT { left } else { (left / 2).min(ANSWERING) };
            match self.try_renew(queue, patience).await {
                Ok(Status::Active) => {
                    self.end = sent + self.length;
                    return Ok(());
                }
                Ok(Status::Expired) => return Err("the ticket is lost, it expired".to_owned()),
                Ok(_) => return Err("the ticket is lost, somebody else released it".to_owned()),
                Err(Failure::Refused { status: 404, .. }) => {
                    return Err("the ticket is lost, somebody else deleted it".to_owned());
                }
                Err(failure) => {
                    if trouble.is_none() {
                        complain(&format!("the ticket can't be renewed for now: {failure}"));
                    }
                    trouble = Some(failure.to_string());
                    let left = self.end.saturating_duration_since(Instant::now());
                    sleep(pauses.next().min(left)).await;
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
                match queue.release(&self.ticket.uuid).await {
                    Ok(()) | Err(Failure::Refused { status: 404, .. }) => return true,
                    Err(failure @ Failure::Refused { .. }) => {
                        why = Some(failure.to_string());
                        return false;
                    }
                    Err(failure) => why = Some(failure.to_string()),
                }
                sleep(pauses.next()).await;
            }
        };
        let is_released = timeout(RELEASING.min(self.length), releasing).await.unwrap_or(false);
        if !is_released {
            let why = why.unwrap_or_else(|| "there is no answer".to_owned());
            complain(&format!("the ticket can't be released and will expire: {why}"));
        }
    }
}

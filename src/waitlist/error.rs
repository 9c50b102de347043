//! The errors of the waitlist, with messages for clients. The HTTP status is chosen elsewhere, in
//! `api/refusal.rs`.

use crate::db;
use crate::store::ticket::Status;

/// The result of most functions of this room.
pub type Result<T> = std::result::Result<T, Error>;

/// A refusal of the request, or a failure of the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request names a resource provider as the owner of a queue, but no resource provider has this uuid.
    #[error("No resource provider with uuid {0} found")]
    OwnerNotFound(String),
    /// No ticket has this uuid.
    #[error("No ticket with uuid {0} found")]
    TicketNotFound(String),
    /// No group of tickets has this uuid.
    #[error("No group of tickets with uuid {0} found")]
    GroupNotFound(String),
    /// A client has named this ticket as a condition of a write, but the ticket is not active.
    #[error("Ticket {0} is not active.")]
    NotActive(String),
    /// The ticket has ended, so it can't be renewed.
    #[error("Ticket {uuid} has ended: it is {status}.")]
    Ended {
        /// The uuid of the ticket.
        uuid: String,
        /// The status of the ticket: finished or expired.
        status: Status,
    },
    /// The client stated a generation of a ticket, but the ticket has another generation.
    #[error("ticket generation conflict for ticket {uuid}: actual: {actual}, given: {given}")]
    TicketGeneration {
        /// The uuid of the ticket.
        uuid: String,
        /// The ticket's present generation.
        actual: i64,
        /// The generation that the client stated.
        given: i64,
    },
    /// The client stated a generation of a group, but the group has another generation.
    #[error("group generation conflict for group {uuid}: actual: {actual}, given: {given}")]
    GroupGeneration {
        /// The uuid of the group.
        uuid: String,
        /// The group's present generation.
        actual: i64,
        /// The generation that the client stated.
        given: i64,
    },
    /// The client stated a generation of a queue, but the queue has another generation.
    #[error(
        "queue generation conflict for scope '{scope}' and id '{id}' of {owner}: actual: {actual}, given: {given}"
    )]
    QueueGeneration {
        /// The owner of the queue: the uuid of a resource provider, or `default`.
        owner: String,
        /// The scope of the queue: the kind of the awaited thing, such as `gpu`.
        scope: String,
        /// The id of the queue: the awaited thing, such as `gpu-0`.
        id: String,
        /// The queue's present generation, or `null` if the queue has never been used.
        actual: String,
        /// The generation that the client stated, or `null` if the client stated that the queue is unused.
        given: String,
    },
    /// A queue already has as many live tickets as `waitlist.queue_tickets` allows.
    #[error("The queue of scope '{scope}' and id '{id}' of {owner} is full: it has {limit} tickets.")]
    QueueFull {
        /// The owner of the queue: the uuid of a resource provider, or `default`.
        owner: String,
        /// The scope of the queue: the kind of the awaited thing, such as `gpu`.
        scope: String,
        /// The id of the queue: the awaited thing, such as `gpu-0`.
        id: String,
        /// The setting `waitlist.queue_tickets`.
        limit: u32,
    },
    /// A new group has two tickets for one queue. One ticket would wait for the other ticket forever.
    #[error(
        "Scope '{scope}' and id '{id}' of {owner} are there twice, and one ticket would wait for the other."
    )]
    Twice {
        /// The owner of the queue: the uuid of a resource provider, or `default`.
        owner: String,
        /// The scope of the queue: the kind of the awaited thing, such as `gpu`.
        scope: String,
        /// The id of the queue: the awaited thing, such as `gpu-0`.
        id: String,
    },
    /// The queue with this row id has too many overdue tickets at its front for one transaction. The caller
    /// ends these tickets in separate transactions, and then tries again.
    #[error("Many tickets of the queue run out of time at this moment; try again.")]
    Crowded(i32),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        Error::Database(error.into())
    }
}

impl crate::commit::TransactionError for Error {
    fn database(&self) -> Option<&db::Error> {
        match self {
            Error::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl Error {
    /// Returns the error that makes the transaction run again, because another writer was first.
    pub(super) fn lost_race() -> Self {
        Error::Database(db::Error::LostRace)
    }
}

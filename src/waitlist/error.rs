//! The errors of the waitlist, with messages for clients and without HTTP.

use crate::db;
use crate::store::ticket::Status;

/// A refusal, or a failure of the database below.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such resource provider to own a queue.
    #[error("No resource provider with uuid {0} found")]
    OwnerNotFound(String),
    /// There is no such ticket.
    #[error("No ticket with uuid {0} found")]
    TicketNotFound(String),
    /// There is no such group of tickets.
    #[error("No group of tickets with uuid {0} found")]
    GroupNotFound(String),
    /// A ticket that fences a write is not active.
    #[error("Ticket {0} is not active.")]
    NotActive(String),
    /// The ticket has ended.
    #[error("Ticket {uuid} has ended: it is {status}.")]
    Ended {
        /// The ticket.
        uuid: String,
        /// Its status.
        status: Status,
    },
    /// The ticket's generation is not the one that the client saw.
    #[error("ticket generation conflict for ticket {uuid}: actual: {actual}, given: {given}")]
    TicketGeneration {
        /// The ticket.
        uuid: String,
        /// Its generation.
        actual: i64,
        /// The generation that the client gave.
        given: i64,
    },
    /// The group's generation is not the one that the client saw.
    #[error("group generation conflict for group {uuid}: actual: {actual}, given: {given}")]
    GroupGeneration {
        /// The group.
        uuid: String,
        /// Its generation.
        actual: i64,
        /// The generation that the client gave.
        given: i64,
    },
    /// The queue's generation is not the one that the client saw.
    #[error(
        "queue generation conflict for scope '{scope}' and id '{id}' of {owner}: actual: {actual}, given: {given}"
    )]
    QueueGeneration {
        /// The owner of the queue.
        owner: String,
        /// The scope of the queue.
        scope: String,
        /// The id of the queue.
        id: String,
        /// Its generation, or `null` if it has never been used.
        actual: String,
        /// The generation that the client gave.
        given: String,
    },
    /// A queue has the largest number of live tickets.
    #[error("The queue of scope '{scope}' and id '{id}' of {owner} is full: it has {limit} tickets.")]
    QueueFull {
        /// The owner of the queue.
        owner: String,
        /// The scope of the queue.
        scope: String,
        /// The id of the queue.
        id: String,
        /// The largest number of live tickets.
        limit: u32,
    },
    /// A group names one queue twice, and would wait for itself.
    #[error(
        "Scope '{scope}' and id '{id}' of {owner} are there twice, and one ticket would wait for the other."
    )]
    Twice {
        /// The owner of the queue.
        owner: String,
        /// The scope of the queue.
        scope: String,
        /// The id of the queue.
        id: String,
    },
    /// The queue with this row id has too many overdue tickets at its head. They are ended first, in
    /// transactions of their own.
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
    /// A conflict that a second run of the transaction settles.
    pub(super) fn lost_race() -> Self {
        Error::Database(db::Error::LostRace)
    }
}

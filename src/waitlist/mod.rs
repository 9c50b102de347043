//! The waitlist: queues of tickets. A client creates a ticket, and waits until the ticket is active.
//!
//! A queue belongs to an owner, and is named by a scope and an id. A ticket is first queued, then active, and
//! at the end finished or expired. Queued and active tickets are live. If a queue has live tickets, exactly
//! one of them is active. Tickets become active in the order of their creation.
//!
//! The creation or the end of a ticket increments the queue's generation by one, in a transaction that locks
//! the queue's row. When a ticket becomes active, the queue's generation after that change is the ticket's
//! fence (a number that grows from one active ticket to the next).
//!
//! - `join`, `end`, `expire`, `renew`, `prove`, `prune`: the rules, run in a transaction that the caller
//!   opens
//! - `promote`: makes the next ticket of a queue active
//! - `group`: groups of tickets that are created together
//! - `term`: the rules by which a ticket expires
//! - `listing`: lists of tickets and queues
//! - `process`: the waitlist of one process, with the waits
//! - `waiters`: the HTTP requests that wait for a ticket
//! - `keeper`: restarts the leases of queued tickets while requests wait for these tickets
//! - `timer`: ends overdue tickets, and deletes tickets that ended long ago
//! - `clock`: the time by which tickets expire
//! - `settings`: the `[waitlist]` table of the configuration
//!
//! This module does not use HTTP.

mod clock;
mod end;
mod error;
mod expire;
mod group;
mod join;
mod keeper;
mod listing;
mod process;
mod promote;
mod prove;
mod prune;
mod renew;
mod settings;
mod term;
mod timer;
mod waiters;

use std::sync::Arc;

use crate::commit::Db;
pub use crate::store::ticket::{Status, Ticket};
pub use crate::store::waitlist_queues::{Queue, QueueFilter};
pub use crate::store::waitlist_tickets::TicketFilter;

pub use clock::{Clock, ServiceClock, SystemClock};
pub use end::{end, end_group, remove, remove_some};
pub use error::{Error, Result};
pub use group::{Group, find_group};
pub use join::{DEFAULT_OWNER, ExpectedQueue, NewTicket, check_owner, join, join_together};
pub use listing::{Lengths, Listing, ahead, find, find_of, lengths, list, list_by_creation, list_live};
pub use process::Waitlist;
pub use prove::prove_active;
pub use prune::prune;
pub use renew::{Renewal, renew, renew_group};
pub use settings::WaitlistSettings;
pub use term::Term;

impl Waitlist {
    /// Runs the background tasks until the waitlist is closed. The tasks end overdue tickets, restart the
    /// leases of awaited tickets, wake requests after changes by other processes, and delete tickets that
    /// ended long ago.
    pub async fn keep(self: Arc<Self>, db: Db) {
        tokio::join!(timer::keep(&self, &db), keeper::keep(&self, &db));
    }
}

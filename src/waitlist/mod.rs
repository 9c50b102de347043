//! The waitlist: clients take tickets and get their turns, strictly in order.
//!
//! A queue is for one thing of one owner. Its tickets are queued, then active, then finished or expired. At
//! most one ticket of a queue is active, and a queue with live tickets has an active one. Each ticket that
//! comes or ends is one step of the queue's generation, in a transaction that locks the queue's row. A ticket
//! becomes active in such a step. The generation after that step is the ticket's fence.
//!
//! - `join`, `end`, `expire`, `renew`, `prove`, `prune`: the rules, within the transaction of the caller
//! - `group`: tickets that are created together
//! - `listing`: lists of tickets and queues
//! - `waiters`: the requests that wait for a ticket, and their waking
//! - `keeper`: keeps queued tickets alive while their clients wait for them
//! - `timer`: ends overdue tickets, and deletes old ones
//! - `clock`: the time by which tickets expire, which tests set
//! - `settings`: the `[waitlist]` table
//!
//! This room does not use HTTP.

mod clock;
mod end;
mod error;
mod expire;
mod group;
mod join;
mod keeper;
mod listing;
mod prove;
mod prune;
mod renew;
mod settings;
mod timer;
mod waiters;

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use tokio::time::Instant;

use crate::commit::{Db, Listener, WaitlistChanges};
use crate::db::DbConnection;
use crate::metrics::waitlist::{WokenBy, handed_off};
pub use crate::store::ticket::{Status, Ticket};
use crate::store::waitlist_clock;
pub use crate::store::waitlist_queues::{Queue, QueueFilter};
pub use crate::store::waitlist_tickets::TicketFilter;

pub use clock::{Clock, ServiceClock, SystemClock};
pub use end::{end, remove, remove_some};
pub use error::Error;
pub use group::{Group, end_group, find_group, renew_group};
pub use join::{ExpectedQueue, NewTicket, Term, check_owner, join, join_together};
pub use listing::{Lengths, Listing, ahead, find, find_of, lengths, list, list_by_creation, list_live};
pub use prove::prove_active;
pub use prune::prune;
pub use renew::{Renewal, renew};
pub use settings::WaitlistSettings;

use timer::Timer;
use waiters::{Waiter, Waiters, Waking};

/// The result of most functions here.
pub type Result<T> = std::result::Result<T, Error>;

/// The owner of queues that belong to no resource provider.
pub const DEFAULT_OWNER: &str = "default";

/// The waitlist of this process: the waiting requests, and the timer. The tickets are in the database.
pub struct Waitlist {
    settings: WaitlistSettings,
    clock: Arc<dyn Clock>,
    /// The same clock, if it follows the database's.
    service_clock: Option<Arc<ServiceClock>>,
    waiters: Arc<Waiters>,
    timer: Timer,
}

impl Waitlist {
    /// A waitlist that listens to the commits of `db`. Tickets expire by the given clock, or else by a clock
    /// that begins with the database's time.
    pub fn new(
        settings: WaitlistSettings,
        clock: Option<Arc<dyn Clock>>,
        db: &Db,
    ) -> std::result::Result<Arc<Waitlist>, crate::db::Error> {
        let (clock, service_clock) = match clock {
            Some(clock) => (clock, None),
            None => {
                let read = |conn: &mut DbConnection| Ok::<_, crate::db::Error>(waitlist_clock::read(conn)?);
                let own = Arc::new(ServiceClock::start(|| db.snapshot(read))?);
                (Arc::<ServiceClock>::clone(&own) as Arc<dyn Clock>, Some(own))
            }
        };
        let waiters = Arc::new(Waiters::default());
        let waitlist =
            Arc::new(Waitlist { settings, clock, service_clock, waiters, timer: Timer::default() });
        db.set_listener(Arc::<Waitlist>::clone(&waitlist))?;
        Ok(waitlist)
    }

    /// Its settings.
    pub fn settings(&self) -> &WaitlistSettings {
        &self.settings
    }

    /// The time of day, by which tickets expire.
    pub fn now(&self) -> NaiveDateTime {
        self.clock.now()
    }

    /// The number of requests that wait in this process.
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// Ends all waits with the present state of their tickets, and all later waits at once.
    pub fn close(&self) {
        self.waiters.close();
        self.timer.wake();
    }

    /// Waits until the ticket is no longer queued, or until the time is over, and returns the ticket.
    pub async fn wait(&self, db: &Db, uuid: &str, timeout: Duration) -> Result<Ticket> {
        let waiter = self.waiters.register(uuid, false);
        let read = || {
            let uuid = uuid.to_owned();
            db.read(move |conn| find(conn, &uuid))
        };
        let is_over = |ticket: &Ticket| {
            self.keep_alive(&waiter, std::slice::from_ref(ticket));
            ticket.status != Status::Queued
        };
        let (ticket, reason) = waiter.until(timeout, read, is_over).await?;
        if ticket.status == Status::Active {
            self.count_hand_off(reason, ticket.activated_at);
        }
        Ok(ticket)
    }

    /// Waits until all tickets of the group are active or one has ended, or until the time is over, and returns
    /// the group.
    pub async fn wait_for_group(&self, db: &Db, uuid: &str, timeout: Duration) -> Result<Group> {
        let waiter = self.waiters.register(uuid, true);
        let read = || {
            let uuid = uuid.to_owned();
            db.read_snapshot(move |conn| find_group(conn, &uuid))
        };
        let is_over = |group: &Group| {
            self.keep_alive(&waiter, &group.tickets);
            group.status() != Status::Queued
        };
        let (group, reason) = waiter.until(timeout, read, is_over).await?;
        if group.status() == Status::Active {
            self.count_hand_off(reason, group.tickets.iter().filter_map(|ticket| ticket.activated_at).max());
        }
        Ok(group)
    }

    /// Has the leases of these tickets start again while a request waits, if the leases run while the tickets
    /// are queued.
    fn keep_alive(&self, waiter: &Waiter, tickets: &[Ticket]) {
        let running = tickets.iter().filter_map(Ticket::queued_lease);
        if let Some((seconds, end)) = running.min_by_key(|(seconds, _)| *seconds) {
            let left = (end - self.now()).to_std().unwrap_or_default();
            waiter.keep_alive(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()), left);
        }
    }

    /// Counts the time from a turn to the request that was woken for it. If another process committed the turn,
    /// the time is in the ticket's row.
    fn count_hand_off(&self, reason: Option<Waking>, activated_at: Option<NaiveDateTime>) {
        match (reason, activated_at) {
            (Some(Waking::Commit(at)), _) => handed_off(WokenBy::Commit, at.elapsed()),
            (Some(Waking::Recheck), Some(at)) => {
                handed_off(WokenBy::Recheck, (self.now() - at).to_std().unwrap_or_default());
            }
            _ => {}
        }
    }

    /// Ends the overdue tickets at the head of a queue, which resolves [`Error::Crowded`].
    pub async fn clear(&self, db: &Db, queue_id: i32) -> Result<()> {
        timer::clear(self, db, queue_id).await
    }

    /// Ends overdue tickets, keeps awaited tickets alive, wakes requests after changes by other processes, and
    /// deletes old tickets, until the waitlist is closed.
    pub async fn keep(self: Arc<Self>, db: Db) {
        tokio::join!(timer::keep(&self, &db), keeper::keep(&self, &db));
    }
}

impl std::fmt::Debug for Waitlist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waitlist").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Listener for Waitlist {
    fn changed(&self, changes: &WaitlistChanges) {
        let reason = Waking::Commit(Instant::now());
        changes.uuids.iter().for_each(|uuid| self.waiters.wake(uuid, reason));
        if let Some(at) = changes.earliest_expiry {
            self.timer.expires_at(at);
        }
    }
}

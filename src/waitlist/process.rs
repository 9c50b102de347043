//! The waitlist of one process: its settings, its clock, the HTTP requests that wait, and the alarm of the timer task.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::commit::{Db, Listener, WaitlistChanges};
use crate::db::DbConnection;
use crate::metrics::waitlist::{WokenBy, handed_off};
use crate::store::ticket::{Status, Ticket};
use crate::store::waitlist_clock;

use super::clock::{Clock, ServiceClock};
use super::error::Result;
use super::group::{Group, find_group};
use super::listing::find;
use super::settings::WaitlistSettings;
use super::waiters::{Waiter, Waiters, Waking};

/// The moment until which the timer task sleeps, and the signal that wakes the task earlier.
#[derive(Default)]
pub struct Timer {
    /// The earliest expiry of all live tickets, as far as the task knows. `None` while the task queries the database
    /// for the earliest expiry.
    pub(super) next: Mutex<Option<NaiveDateTime>>,
    /// Wakes the task before its time.
    pub(super) sooner: Notify,
}

impl Timer {
    /// Wakes the timer task if a ticket expires at `at`, and `at` is earlier than the expiry for which the
    /// task sleeps.
    pub fn expires_at(&self, at: NaiveDateTime) {
        if self.next.lock().is_none_or(|next| at < next) {
            self.sooner.notify_one();
        }
    }

    /// Wakes the timer task at once.
    pub fn wake(&self) {
        self.sooner.notify_one();
    }
}

/// The waitlist of this process: the waiting requests, and the timer. The tickets themselves are in the
/// database.
pub struct Waitlist {
    pub(super) settings: WaitlistSettings,
    clock: Arc<dyn Clock>,
    /// The same clock as in `clock`. `None` if a test supplied another clock.
    pub(super) service_clock: Option<Arc<ServiceClock>>,
    pub(super) waiters: Arc<Waiters>,
    pub(super) timer: Timer,
}

impl Waitlist {
    /// Makes a waitlist, and registers the waitlist with `db`, which announces each commit to it. Tests supply a
    /// `clock`. If `clock` is `None`, a [`ServiceClock`] starts with the database's time.
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

    /// Returns the `[waitlist]` settings.
    pub fn settings(&self) -> &WaitlistSettings {
        &self.settings
    }

    /// Returns the present time in UTC, by which tickets expire.
    pub fn now(&self) -> NaiveDateTime {
        self.clock.now()
    }

    /// Returns the number of HTTP requests that wait in this process.
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// Ends all waits: each waiting request is answered with the present state of its ticket. Later waits end
    /// at once.
    pub fn close(&self) {
        self.waiters.close();
        self.timer.wake();
    }

    /// Waits until the ticket is no longer queued, or until the timeout has passed. Returns the ticket.
    pub async fn wait(&self, db: &Db, uuid: &str, timeout: Duration) -> Result<Ticket> {
        let waiter = self.waiters.register(uuid, false);
        db.look_at_feed();
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

    /// Waits until no ticket of the group is queued, or one ticket has ended, or the timeout has passed.
    /// Returns the group.
    pub async fn wait_for_group(&self, db: &Db, uuid: &str, timeout: Duration) -> Result<Group> {
        let waiter = self.waiters.register(uuid, true);
        db.look_at_feed();
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

    /// Asks the keeper task to restart the leases of these tickets while the request waits. Only leases that
    /// already run while the ticket is queued are restarted.
    fn keep_alive(&self, waiter: &Waiter, tickets: &[Ticket]) {
        let running = tickets.iter().filter_map(Ticket::queued_lease);
        if let Some((seconds, end)) = running.min_by_key(|(seconds, _)| *seconds) {
            let left = (end - self.now()).to_std().unwrap_or_default();
            waiter.keep_alive(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()), left);
        }
    }

    /// Records in the metrics how long it took from the activation of a ticket until this request was woken.
    /// If another process activated the ticket, the time of activation is read from the ticket's row.
    fn count_hand_off(&self, reason: Option<Waking>, activated_at: Option<NaiveDateTime>) {
        match (reason, activated_at) {
            (Some(Waking::Commit(at)), _) => handed_off(WokenBy::Commit, at.elapsed()),
            (Some(Waking::Recheck), Some(at)) => {
                handed_off(WokenBy::Recheck, (self.now() - at).to_std().unwrap_or_default());
            }
            _ => {}
        }
    }

    /// Wakes the requests whose tickets have changed, and sets the timer to the earliest new expiry time.
    fn wake(&self, changes: &WaitlistChanges, reason: Waking) {
        changes.uuids.iter().for_each(|uuid| self.waiters.wake(uuid, reason));
        if let Some(at) = changes.earliest_expiry {
            self.timer.expires_at(at);
        }
    }
}

impl std::fmt::Debug for Waitlist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waitlist").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Listener for Waitlist {
    fn changed(&self, changes: &WaitlistChanges) {
        self.wake(changes, Waking::Commit(Instant::now()));
    }

    fn changed_elsewhere(&self, changes: &WaitlistChanges) {
        self.wake(changes, Waking::Recheck);
        if changes.everything {
            // The changed tickets are not known one by one. So the timer task reads all awaited tickets from the
            // database.
            self.timer.wake();
        }
    }

    fn is_waiting(&self) -> bool {
        self.waiters.len() > 0
    }
}

//! The timer: ends overdue tickets, and deletes old ones.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::commit::{Db, Plain};
use crate::db::DbConnection;
use crate::store::ticket::Status;
use crate::store::waitlist_clock;
use crate::store::waitlist_overdue::{self as overdue, Overdue};
use crate::store::waitlist_tickets as rows;

use super::clock::up;
use super::expire::{EXPIRED_AT_ONCE, expire, expire_heads};
use super::waiters::Waking;
use super::{Error, Waitlist, prune};

/// The largest number of queues whose tickets are ended in one transaction.
const QUEUES_AT_ONCE: usize = 32;
/// The largest number of overdue tickets that are read at once.
const READ_AT_ONCE: usize = 10_000;
/// The longest pause between two transactions.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// The interval at which the service's clock is compared with the database's.
const COMPARING: Duration = Duration::from_secs(30);
/// The interval at which old tickets are deleted.
const PRUNING: Duration = Duration::from_secs(600);
/// The largest number of tickets that are deleted in one transaction.
const PRUNED_AT_ONCE: i64 = 1_000;

/// The setting of the timer.
#[derive(Default)]
pub struct Timer {
    /// The next known end of a ticket; `None` while it is read.
    next: Mutex<Option<NaiveDateTime>>,
    sooner: Notify,
}

impl Timer {
    /// Notes the new end of a ticket.
    pub fn expires_at(&self, at: NaiveDateTime) {
        if self.next.lock().is_none_or(|next| at < next) {
            self.sooner.notify_one();
        }
    }

    /// Wakes the timer at once.
    pub fn wake(&self) {
        self.sooner.notify_one();
    }
}

/// Works until the waitlist is closed. A failure is logged, and the work is tried again.
pub(super) async fn keep(waitlist: &Waitlist, db: &Db) {
    let recheck = Duration::from_secs(waitlist.settings.recheck_seconds);
    let mut pruned = None;
    let mut compared = Instant::now();
    while !waitlist.waiters.is_closed() {
        let is_time = pruned.is_none_or(|at: Instant| at.elapsed() >= PRUNING);
        if is_time {
            pruned = Some(Instant::now());
        }
        if compared.elapsed() >= COMPARING {
            compared = Instant::now();
            compare_clocks(waitlist, db).await;
        }
        let pause = match look(waitlist, db, is_time).await {
            Ok(next) => next.map_or(recheck, |next| next.min(recheck)),
            Err(error) => {
                log::error!("overdue tickets cannot be ended for now: {error}");
                recheck
            }
        };
        // The timer looks again soon even if the next end is far off: the host may sleep, and other processes
        // write.
        let _ = timeout(pause, waitlist.timer.sooner.notified()).await;
    }
}

/// Does the work that is due, and returns the time until the end of the next ticket.
async fn look(waitlist: &Waitlist, db: &Db, pruning: bool) -> Result<Option<Duration>, Error> {
    expire_overdue(waitlist, db).await?;
    wake_missed(waitlist, db).await?;
    if pruning {
        prune_old(waitlist, db).await?;
    }
    find_next(waitlist, db).await
}

/// Compares the service's clock with the database's.
async fn compare_clocks(waitlist: &Waitlist, db: &Db) {
    let Some(clock) = &waitlist.service_clock else { return };
    let work = |conn: &mut DbConnection| {
        let asked = up();
        let time = waitlist_clock::read(conn)?;
        Ok::<_, Error>((asked, time, up()))
    };
    match db.read(work).await {
        Ok((asked, time, answered)) => clock.compare(asked, time, answered),
        // The service's clock goes on without the comparison.
        Err(error) => log::debug!("the database's time cannot be read for now: {error}"),
    }
}

/// The time until the end of the next ticket.
async fn find_next(waitlist: &Waitlist, db: &Db) -> Result<Option<Duration>, Error> {
    // A commit between here and the answer wakes the timer, which then reads again.
    *waitlist.timer.next.lock() = None;
    let next = db.read(|conn| Ok::<_, Error>(overdue::earliest_expiry(conn)?)).await?;
    *waitlist.timer.next.lock() = Some(next.unwrap_or(NaiveDateTime::MAX));
    let pause = next.map(|next| (next - waitlist.now()).max(TimeDelta::zero()));
    Ok(pause.and_then(|pause| pause.to_std().ok()))
}

/// Ends overdue tickets in short transactions, one after the other. However many tickets expire at one moment,
/// they use one connection, and only for half of the time. Active tickets come first, since clients wait for
/// those turns.
async fn expire_overdue(waitlist: &Waitlist, db: &Db) -> Result<(), Error> {
    let mut queued = VecDeque::new();
    // The queues whose next ticket can become active only after others in `queued` have ended.
    let mut crowded = HashSet::new();
    loop {
        let active = list_overdue(waitlist, db, Status::Active, QUEUES_AT_ONCE + crowded.len()).await?;
        let active = active.into_iter().filter(|ticket| !crowded.contains(&ticket.queue_id)).collect();
        let has_active = expire_holders(waitlist, db, active, &mut crowded).await?;
        if queued.is_empty() {
            queued = list_overdue(waitlist, db, Status::Queued, READ_AT_ONCE).await?.into();
        }
        if queued.is_empty() {
            if !has_active && crowded.is_empty() {
                return Ok(());
            }
            crowded.clear();
            continue;
        }
        let batch = next_batch(&mut queued);
        expire_batch(waitlist, db, &batch).await?;
    }
}

/// Ends active tickets, and returns whether there were any. Queues with too many overdue tickets are added to
/// `crowded`.
async fn expire_holders(
    waitlist: &Waitlist,
    db: &Db,
    mut active: VecDeque<Overdue>,
    crowded: &mut HashSet<i32>,
) -> Result<bool, Error> {
    let has_active = !active.is_empty();
    while !active.is_empty() {
        let mut batch = next_batch(&mut active);
        while let Err(error) = expire_batch(waitlist, db, &batch).await {
            let Error::Crowded(queue_id) = error else { return Err(error) };
            crowded.insert(queue_id);
            batch.retain(|ticket| ticket.queue_id != queue_id);
        }
    }
    Ok(has_active)
}

/// Removes from the front as many tickets as one transaction may end.
fn next_batch(tickets: &mut VecDeque<Overdue>) -> Vec<Overdue> {
    let mut queues = HashSet::new();
    let mut batch = Vec::new();
    while let Some(ticket) = tickets.front() {
        queues.insert(ticket.queue_id);
        if batch.len() == EXPIRED_AT_ONCE || queues.len() > QUEUES_AT_ONCE {
            break;
        }
        batch.extend(tickets.pop_front());
    }
    batch
}

async fn list_overdue(
    waitlist: &Waitlist,
    db: &Db,
    status: Status,
    limit: usize,
) -> Result<Vec<Overdue>, Error> {
    let (now, limit) = (waitlist.now(), i64::try_from(limit).unwrap_or(i64::MAX));
    db.read(move |conn| Ok(overdue::list(conn, status, now, limit)?)).await
}

async fn expire_batch(waitlist: &Waitlist, db: &Db, batch: &[Overdue]) -> Result<(), Error> {
    let (batch, now) = (batch.to_vec(), waitlist.now());
    paced(db.write(Plain::new("expire tickets", move |tx| expire(tx, &batch, now)))).await
}

/// Ends the overdue tickets at the head of a queue.
pub(super) async fn clear(waitlist: &Waitlist, db: &Db, queue_id: i32) -> Result<(), Error> {
    let heads = || {
        let now = waitlist.now();
        paced(db.write(Plain::new("expire tickets", move |tx| expire_heads(tx, queue_id, now))))
    };
    while heads().await? {}
    Ok(())
}

/// Does the work, and then pauses for as long as the work took. Other requests get the connection in between.
async fn paced<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let began = Instant::now();
    let outcome = work.await;
    sleep(began.elapsed().min(LONGEST_PAUSE)).await;
    outcome
}

/// Wakes the requests whose tickets another process has changed.
async fn wake_missed(waitlist: &Waitlist, db: &Db) -> Result<(), Error> {
    let (tickets, groups) = waitlist.waiters.awaited();
    if tickets.is_empty() && groups.is_empty() {
        return Ok(());
    }
    let asked = (tickets.clone(), groups.clone());
    // One question for all tickets: with a question for each, many waiters would need all connections.
    let work = move |conn: &mut DbConnection| {
        let mut queued = rows::list_queued(conn, &asked.0)?;
        queued.extend(rows::list_queued_groups(conn, &asked.1)?);
        Ok::<_, Error>(queued)
    };
    let queued: HashSet<String> = db.read(work).await?.into_iter().collect();
    let all = tickets.iter().chain(&groups);
    all.filter(|uuid| !queued.contains(*uuid)).for_each(|uuid| waitlist.waiters.wake(uuid, Waking::Recheck));
    Ok(())
}

async fn prune_old(waitlist: &Waitlist, db: &Db) -> Result<(), Error> {
    let retention = TimeDelta::days(waitlist.settings.retention_days.into());
    let Some(before) = waitlist.now().checked_sub_signed(retention) else {
        return Ok(());
    };
    loop {
        let work = move |tx: &mut _| prune(tx, before, PRUNED_AT_ONCE);
        if db.write(Plain::new("forget old tickets", work)).await? == 0 {
            return Ok(());
        }
    }
}

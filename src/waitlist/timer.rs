//! The timer task, which ends overdue tickets, and deletes tickets that ended long ago.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};
use tokio::time::{Instant, sleep, timeout};

use crate::clock::up;
use crate::commit::{Db, Plain};
use crate::db::DbConnection;
use crate::store::ticket::Status;
use crate::store::waitlist_clock;
use crate::store::waitlist_overdue::{self as overdue, Overdue};
use crate::store::waitlist_tickets as rows;

use super::expire::{expire, expire_heads};
use super::promote::EXPIRED_AT_ONCE;
use super::waiters::Waking;
use super::{Error, Waitlist, prune};

/// The largest number of queues in which one transaction ends tickets.
const QUEUES_AT_ONCE: usize = 32;
/// The largest number of overdue tickets that one query reads.
const READ_AT_ONCE: usize = 10_000;
/// The longest pause after a transaction.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// The interval between two comparisons of the service's clock with the database's clock.
const COMPARING: Duration = Duration::from_secs(30);
/// The longest pause after an error of the database.
const RETRY: Duration = Duration::from_secs(1);
/// The interval between two deletions of tickets that ended long ago.
const PRUNING: Duration = Duration::from_secs(600);
/// The largest number of tickets that one transaction deletes.
const PRUNED_AT_ONCE: i64 = 1_000;

/// Runs until the waitlist is closed. If the database fails, the error is logged, and the work is tried
/// again.
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
                recheck.min(RETRY)
            }
        };
        // The task never sleeps longer than `recheck`, because other processes may create tickets that expire
        // earlier. Besides, the sleep does not count the time for which the host is suspended.
        let _ = timeout(pause, waitlist.timer.sooner.notified()).await;
    }
}

/// Ends overdue tickets, and wakes the requests whose tickets another process has changed. If `pruning` is true, also
/// deletes tickets that ended long ago. Returns the time until the next ticket expires.
async fn look(waitlist: &Waitlist, db: &Db, pruning: bool) -> Result<Option<Duration>, Error> {
    expire_overdue(waitlist, db).await?;
    wake_missed(waitlist, db).await?;
    if pruning {
        prune_old(waitlist, db).await?;
    }
    find_next(waitlist, db).await
}

/// Compares the service's clock with the database's clock.
async fn compare_clocks(waitlist: &Waitlist, db: &Db) {
    let Some(clock) = &waitlist.service_clock else { return };
    let work = |conn: &mut DbConnection| {
        let asked = up();
        let time = waitlist_clock::read(conn)?;
        Ok::<_, Error>((asked, time, up()))
    };
    match db.read(work).await {
        Ok((asked, time, answered)) => clock.compare(asked, time, answered),
        // Without an answer, the clock goes on unchanged until the next comparison.
        Err(error) => log::debug!("the database's time cannot be read for now: {error}"),
    }
}

/// Returns the time until the next ticket expires, or `None` if no ticket can expire.
async fn find_next(waitlist: &Waitlist, db: &Db) -> Result<Option<Duration>, Error> {
    // A transaction may commit an earlier expiry during the query. Because `next` is `None`, such a commit wakes the
    // task, which then reads again.
    *waitlist.timer.next.lock() = None;
    let next = db.read(|conn| Ok::<_, Error>(overdue::earliest_expiry(conn)?)).await?;
    *waitlist.timer.next.lock() = Some(next.unwrap_or(NaiveDateTime::MAX));
    let pause = next.map(|next| (next - waitlist.now()).max(TimeDelta::zero()));
    Ok(pause.and_then(|pause| pause.to_std().ok()))
}

/// Ends all overdue tickets in short transactions, one after the other. Even if many tickets expire at the same
/// moment, this work uses only one connection, and that connection only half of the time. Active tickets are ended
/// first, since a queued ticket can become active only after the active ticket has ended.
async fn expire_overdue(waitlist: &Waitlist, db: &Db) -> Result<(), Error> {
    let mut queued = VecDeque::new();
    // The row ids of queues with too many overdue tickets for one transaction. In such a queue, the overdue
    // queued tickets are ended first. After that, one transaction can end the active ticket and make the next
    // ticket active.
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

/// Ends the overdue active tickets in `active`. Returns whether `active` contained a ticket. If a queue has
/// too many overdue tickets for one transaction, its row id is added to `crowded`.
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

/// Removes tickets from the front of the list, as many as one transaction may end. Returns the removed
/// tickets.
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

impl Waitlist {
    /// Ends the overdue tickets at the front of a queue, in several transactions if necessary. Called after
    /// [`Error::Crowded`], before a second try.
    pub async fn clear(&self, db: &Db, queue_id: i32) -> Result<(), Error> {
        let heads = || {
            let now = self.now();
            paced(db.write(Plain::new("expire tickets", move |tx| expire_heads(tx, queue_id, now))))
        };
        while heads().await? {}
        Ok(())
    }
}

/// Runs the work, and then sleeps as long as the work took. Meanwhile other requests can use the connection.
async fn paced<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let began = Instant::now();
    let outcome = work.await;
    sleep(began.elapsed().min(LONGEST_PAUSE)).await;
    outcome
}

/// Wakes the requests whose tickets are no longer queued, because another process has changed the tickets.
async fn wake_missed(waitlist: &Waitlist, db: &Db) -> Result<(), Error> {
    let (tickets, groups) = waitlist.waiters.awaited();
    if tickets.is_empty() && groups.is_empty() {
        return Ok(());
    }
    let asked = (tickets.clone(), groups.clone());
    // One query reads all tickets. With one query for each ticket, many waiting requests would use all
    // connections.
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

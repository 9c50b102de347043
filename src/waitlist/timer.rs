//! Ends tickets when their time runs out, and forgets old ones.

use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::db::{Db, DbConnection};
use crate::store::waitlist_tickets as rows;

use super::waiters::Waking;
use super::{Error, Waitlist, expire, prune};

/// How many tickets are expired at once; each is a transaction of its own.
const AT_ONCE: usize = 32;
/// How many overdue tickets are read at a time.
const BATCH: i64 = 1_024;
/// How often old tickets are looked for.
const PRUNING: Duration = Duration::from_secs(600);
/// How many tickets are forgotten in one transaction.
const PRUNED_AT_ONCE: i64 = 1_000;

/// What the timer is set to.
#[derive(Default)]
pub struct Timer {
    /// When the next ticket runs out, as far as is known; `None` while that is found out.
    next: Mutex<Option<NaiveDateTime>>,
    sooner: Notify,
}

impl Timer {
    /// Notes that a ticket now runs out at this time.
    pub fn expires_at(&self, at: NaiveDateTime) {
        if self.next.lock().is_none_or(|next| at < next) {
            self.sooner.notify_one();
        }
    }

    /// Has the timer look again at once.
    pub fn wake(&self) {
        self.sooner.notify_one();
    }
}

/// Works until the waitlist is closed. What fails is logged and tried again.
pub(super) async fn keep(waitlist: &Waitlist, db: &Db) {
    let recheck = Duration::from_secs(waitlist.settings.recheck_seconds);
    let mut pruned = None;
    while !waitlist.waiters.is_closed() {
        let is_time = pruned.is_none_or(|at: Instant| at.elapsed() >= PRUNING);
        if is_time {
            pruned = Some(Instant::now());
        }
        let pause = match look(waitlist, db, is_time).await {
            Ok(next) => next.map_or(recheck, |next| next.min(recheck)),
            Err(error) => {
                log::error!("the waitlist can't be kept in order for now: {error}");
                recheck
            }
        };
        // The clock may jump and other processes write, so however far off the next end is, the timer
        // looks again soon.
        let _ = timeout(pause, waitlist.timer.sooner.notified()).await;
    }
}

/// Does what is to be done now, and says how long it is until the next ticket runs out.
async fn look(waitlist: &Waitlist, db: &Db, pruning: bool) -> Result<Option<Duration>, Error> {
    expire_overdue(waitlist, db).await?;
    wake_missed(waitlist, db).await?;
    if pruning {
        prune_old(waitlist, db).await?;
    }
    find_next(waitlist, db).await
}

/// How long it is until the next ticket runs out.
async fn find_next(waitlist: &Waitlist, db: &Db) -> Result<Option<Duration>, Error> {
    // Whatever is committed between here and the end of the question makes it be asked again.
    *waitlist.timer.next.lock() = None;
    let next = db.read(|conn| Ok::<_, Error>(rows::earliest_expiry(conn)?)).await?;
    *waitlist.timer.next.lock() = Some(next.unwrap_or(NaiveDateTime::MAX));
    let pause = next.map(|next| (next - waitlist.now()).max(TimeDelta::zero()));
    Ok(pause.and_then(|pause| pause.to_std().ok()))
}

async fn expire_overdue(waitlist: &Waitlist, db: &Db) -> Result<(), Error> {
    loop {
        let now = waitlist.now();
        let overdue = db.read(move |conn| Ok::<_, Error>(rows::list_overdue(conn, now, BATCH)?)).await?;
        for chunk in overdue.chunks(AT_ONCE) {
            let ends = chunk.iter().map(|uuid| {
                let uuid = uuid.clone();
                db.write("expire a ticket", move |tx| expire(tx, &uuid, now))
            });
            for end in join_all(ends).await {
                end?;
            }
        }
        if overdue.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) {
            return Ok(());
        }
    }
}

/// Wakes those whose tickets another process has changed.
async fn wake_missed(waitlist: &Waitlist, db: &Db) -> Result<(), Error> {
    let (tickets, groups) = waitlist.waiters.awaited();
    if tickets.is_empty() && groups.is_empty() {
        return Ok(());
    }
    let asked = (tickets.clone(), groups.clone());
    // One question for all: if each of many asked for itself, all connections would be theirs.
    let work = move |conn: &mut DbConnection| {
        let mut queued = rows::list_queued(conn, &asked.0)?;
        queued.extend(rows::list_queued_groups(conn, &asked.1)?);
        Ok::<_, Error>(queued)
    };
    let queued: std::collections::HashSet<String> = db.read(work).await?.into_iter().collect();
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
        if db.write("forget old tickets", work).await? == 0 {
            return Ok(());
        }
    }
}

//! The keeper task, which restarts the leases of queued tickets while HTTP requests wait for these tickets.

use std::time::Duration;

use tokio::time::Instant;

use crate::commit::{Db, Plain, Tx};
use crate::store::waitlist_tickets::{self as rows, KEPT_ALIVE_AT_ONCE};

use super::waiters::Due;
use super::{Error, Waitlist};

/// The pause after a failure. The pause is much shorter than the shortest lease.
const RETRYING: Duration = Duration::from_millis(200);
/// The longest pause while no request waits for a ticket. A new request ends the pause early.
const IDLE: Duration = Duration::from_secs(3_600);

/// Runs until the waitlist is closed. If the database fails, the error is logged once, and the work is tried
/// again.
pub(super) async fn keep(waitlist: &Waitlist, db: &Db) {
    let mut is_failing = false;
    while !waitlist.waiters.is_closed() {
        let began = Instant::now();
        let due = waitlist.waiters.due(began);
        match restart(waitlist, db, &due).await {
            Ok(()) => {
                is_failing = false;
                waitlist.waiters.restarted(&due, began);
                // The restarted leases are not due any more, so `next` is the earliest due time of all
                // leases.
                let next = waitlist.waiters.due(began).next;
                let pause = next.map_or(IDLE, |next| next.saturating_duration_since(Instant::now()));
                waitlist.waiters.until_due(pause).await;
            }
            Err(error) => {
                if !is_failing {
                    log::error!("awaited tickets cannot be kept alive for now: {error}");
                }
                is_failing = true;
                tokio::time::sleep(RETRYING).await;
            }
        }
    }
}

async fn restart(waitlist: &Waitlist, db: &Db, due: &Due) -> Result<(), Error> {
    for chunk in due.tickets.chunks(KEPT_ALIVE_AT_ONCE) {
        let (uuids, now) = (chunk.to_vec(), waitlist.now());
        let work = move |tx: &mut Tx| Ok::<_, Error>(rows::keep_alive(tx, &uuids, now)?);
        db.write(Plain::new("keep tickets alive", work)).await?;
    }
    for chunk in due.groups.chunks(KEPT_ALIVE_AT_ONCE) {
        let (uuids, now) = (chunk.to_vec(), waitlist.now());
        let work = move |tx: &mut Tx| Ok::<_, Error>(rows::keep_groups_alive(tx, &uuids, now)?);
        db.write(Plain::new("keep groups of tickets alive", work)).await?;
    }
    Ok(())
}

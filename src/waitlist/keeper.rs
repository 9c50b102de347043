//! The keeper: restarts the leases of awaited tickets, if these leases run while the tickets are queued.

use std::time::Duration;

use tokio::time::Instant;

use crate::commit::{Db, Plain, Tx};
use crate::store::waitlist_tickets::{self as rows, KEPT_ALIVE_AT_ONCE};

use super::waiters::Due;
use super::{Error, Waitlist};

/// The pause after a failure. It is short compared with the shortest lease.
const RETRYING: Duration = Duration::from_millis(200);
/// The longest pause while no request waits.
const IDLE: Duration = Duration::from_secs(3_600);

/// Works until the waitlist is closed. A failure is logged, and the work is tried again.
pub(super) async fn keep(waitlist: &Waitlist, db: &Db) {
    let mut is_failing = false;
    while !waitlist.waiters.is_closed() {
        let began = Instant::now();
        let due = waitlist.waiters.due(began);
        match restart(waitlist, db, &due).await {
            Ok(()) => {
                is_failing = false;
                waitlist.waiters.restarted(&due, began);
                // The leases that were due now are due again later than the others.
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

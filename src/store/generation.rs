//! The only place where a generation changes: a compare-and-swap, or a bump that takes the row.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::schema::{
    consumers, resource_providers as rp, waitlist_groups as groups, waitlist_owners as owners,
    waitlist_queues as queues, waitlist_tickets as tickets,
};
use crate::db::{Part, Tx};

use super::now;
use super::waitlist_tickets::{Changes, Ticket, from_micros};

/// Increments a provider's generation if it still is `seen`; `false` when another writer was first.
///
/// The row stays taken until the transaction ends, so what is read after this can't change.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_provider(tx: &mut Tx, id: i32, seen: i32) -> QueryResult<bool> {
    tx.touch_provider(id, Part::Usage);
    let row = rp::table.filter(rp::id.eq(id)).filter(rp::generation.eq(seen));
    let changed = diesel::update(row)
        .set((rp::generation.eq(rp::generation + 1), rp::updated_at.eq(now())))
        .execute(tx.conn())?;
    Ok(changed == 1)
}

/// Takes a provider's row and increments its generation whatever it is; `false` when it is gone.
#[must_use = "a provider that is gone can't be written to"]
pub fn bump_provider(tx: &mut Tx, id: i32) -> QueryResult<bool> {
    tx.touch_provider(id, Part::Usage);
    let changed = diesel::update(rp::table.filter(rp::id.eq(id)))
        .set((rp::generation.eq(rp::generation + 1), rp::updated_at.eq(now())))
        .execute(tx.conn())?;
    Ok(changed == 1)
}

/// Increments a consumer's generation if it still is `seen`; `false` when another writer was first.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_consumer(tx: &mut Tx, id: i32, seen: i32) -> QueryResult<bool> {
    let row = consumers::table.filter(consumers::id.eq(id)).filter(consumers::generation.eq(seen));
    let changed = diesel::update(row)
        .set((consumers::generation.eq(consumers::generation + 1), consumers::updated_at.eq(now())))
        .execute(tx.conn())?;
    Ok(changed == 1)
}

/// Takes a consumer's row and increments its generation whatever it is; `false` when it is gone.
#[must_use = "a consumer that is gone can't be written to"]
pub fn bump_consumer(tx: &mut Tx, id: i32) -> QueryResult<bool> {
    let changed = diesel::update(consumers::table.filter(consumers::id.eq(id)))
        .set((consumers::generation.eq(consumers::generation + 1), consumers::updated_at.eq(now())))
        .execute(tx.conn())?;
    Ok(changed == 1)
}

/// Takes a queue's row and increments its generation whatever it is, as a ticket comes (`live_change`
/// is 1) or ends (it is -1); `false` when the queue is gone.
#[must_use = "a queue that is gone can't be written to"]
pub fn bump_queue(tx: &mut Tx, id: i32, live_change: i32) -> QueryResult<bool> {
    let changed = diesel::update(queues::table.filter(queues::id.eq(id)))
        .set((
            queues::generation.eq(queues::generation + 1),
            queues::live.eq(queues::live + live_change),
            queues::updated_at.eq(now()),
        ))
        .execute(tx.conn())?;
    Ok(changed == 1)
}

/// Takes the rows of all queues of an owner and increments their generations.
pub fn bump_queues_of(tx: &mut Tx, owner: &str) -> QueryResult<()> {
    diesel::update(queues::table.filter(queues::owner.eq(owner)))
        .set(queues::generation.eq(queues::generation + 1))
        .execute(tx.conn())?;
    Ok(())
}

/// Takes the row of an owner of queues and increments its generation; `false` when there is none.
#[must_use = "without a row nothing is taken"]
pub fn bump_waitlist_owner(tx: &mut Tx, owner: &str) -> QueryResult<bool> {
    let changed = diesel::update(owners::table.filter(owners::owner.eq(owner)))
        .set(owners::generation.eq(owners::generation + 1))
        .execute(tx.conn())?;
    Ok(changed == 1)
}

/// Changes a ticket and increments its generation if it still is as it was read; `false` when another
/// writer was first.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_ticket(tx: &mut Tx, seen: &Ticket, now: NaiveDateTime, changes: Changes) -> QueryResult<bool> {
    if changes.status.is_some() {
        tx.touch_turn(&seen.uuid);
    }
    tx.touch_expiry(changes.expires_at.flatten().map(from_micros));
    let row =
        tickets::table.filter(tickets::uuid.eq(&seen.uuid)).filter(tickets::generation.eq(seen.generation));
    let changed = diesel::update(row)
        .set((tickets::generation.eq(tickets::generation + 1), tickets::updated_at.eq(now), changes))
        .execute(tx.conn())?;
    Ok(changed == 1)
}

/// Increments the generation of a group of tickets if it still is `seen`; `false` when another writer
/// was first.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_group(tx: &mut Tx, uuid: &str, seen: i64) -> QueryResult<bool> {
    let row = groups::table.filter(groups::uuid.eq(uuid)).filter(groups::generation.eq(seen));
    let changed =
        diesel::update(row).set(groups::generation.eq(groups::generation + 1)).execute(tx.conn())?;
    Ok(changed == 1)
}

/// Takes the row of a group of tickets and increments its generation; `false` when it is gone.
#[must_use = "a group that is gone can't be written to"]
pub fn bump_group(tx: &mut Tx, uuid: &str) -> QueryResult<bool> {
    tx.touch_turn(uuid);
    let changed = diesel::update(groups::table.filter(groups::uuid.eq(uuid)))
        .set(groups::generation.eq(groups::generation + 1))
        .execute(tx.conn())?;
    Ok(changed == 1)
}

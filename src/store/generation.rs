//! The only place where a generation changes: a compare-and-swap, or a bump that takes the row.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::commit::{Part, Tx};
use crate::db::Kind;
use crate::db::schema::waitlist_tickets as tickets;
use crate::db::statement::{execute, execute_listed, named, returning_numbers};

use super::now;
use super::resource_providers::{self, ProviderKey};
use super::ticket::{Ticket, TicketChanges, from_micros, micros};

/// How the increment of a provider's generation begins, for statements that do more beside.
macro_rules! bump_provider_sql {
    () => {
        "UPDATE resource_providers SET generation = generation + 1, updated_at = ?"
    };
}
pub(super) use bump_provider_sql;

/// Increments a provider's generation if it still is `seen`; `false` when another writer was first.
///
/// The row stays taken until the transaction ends, so what is read after this can't change.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_provider(tx: &mut Tx, id: i32, seen: i32) -> QueryResult<bool> {
    tx.touch_provider(id, Part::Usage);
    let sql = named!(concat!(bump_provider_sql!(), " WHERE id = ? AND generation = ?"));
    Ok(execute(tx, sql, &[now().into(), id.into(), seen.into()])? == 1)
}

/// Takes a provider's row and increments its generation whatever it is; `false` when it is gone.
#[must_use = "a provider that is gone can't be written to"]
pub fn bump_provider(tx: &mut Tx, id: i32) -> QueryResult<bool> {
    tx.touch_provider(id, Part::Usage);
    let sql = named!(concat!(bump_provider_sql!(), " WHERE id = ?"));
    Ok(execute(tx, sql, &[now().into(), id.into()])? == 1)
}

/// Increments the generation of the provider of this uuid; returns its row id.
pub fn bump_provider_by_uuid(tx: &mut Tx, uuid: &str) -> QueryResult<Option<i32>> {
    // MariaDB's UPDATE returns nothing.
    if tx.kind() == Kind::Mysql {
        let Some(ProviderKey { id, .. }) = resource_providers::find_key(tx, uuid)? else {
            return Ok(None);
        };
        return Ok(bump_provider(tx, id)?.then_some(id));
    }
    let sql = named!(concat!(bump_provider_sql!(), " WHERE uuid = ? RETURNING id"));
    let id = returning_numbers(tx, sql, &[now().into(), uuid.into()])?.pop();
    id.into_iter().for_each(|id| tx.touch_provider(id, Part::Usage));
    Ok(id)
}

/// Increments a consumer's generation if it still is `seen`; `false` when another writer was first.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_consumer(tx: &mut Tx, id: i32, seen: i32) -> QueryResult<bool> {
    let sql = named!(
        "UPDATE consumers SET generation = generation + 1, updated_at = ? \
         WHERE id = ? AND generation = ?"
    );
    Ok(execute(tx, sql, &[now().into(), id.into(), seen.into()])? == 1)
}

/// Takes a consumer's row and increments its generation whatever it is; `false` when it is gone.
#[must_use = "a consumer that is gone can't be written to"]
pub fn bump_consumer(tx: &mut Tx, id: i32) -> QueryResult<bool> {
    let sql = named!("UPDATE consumers SET generation = generation + 1, updated_at = ? WHERE id = ?");
    Ok(execute(tx, sql, &[now().into(), id.into()])? == 1)
}

/// Takes a queue's row and increments its generation whatever it is, as a ticket comes (`live_change`
/// is 1) or ends (it is -1); `false` when the queue is gone.
#[must_use = "a queue that is gone can't be written to"]
pub fn bump_queue(tx: &mut Tx, id: i32, live_change: i32) -> QueryResult<bool> {
    step_queue(tx, id, 1, live_change)
}

/// Takes a queue's row as so many of its tickets end, each a step of its generation; `false` when the
/// queue is gone. A negative number takes back what was too much before, in the same transaction.
#[must_use = "a queue that is gone can't be written to"]
pub fn leave_queue(tx: &mut Tx, id: i32, tickets: i32) -> QueryResult<bool> {
    step_queue(tx, id, tickets.into(), -tickets)
}

fn step_queue(tx: &mut Tx, id: i32, steps: i64, live_change: i32) -> QueryResult<bool> {
    let sql = "UPDATE waitlist_queues SET generation = generation + ?, live = live + ?, updated_at = ? \
               WHERE id = ?";
    Ok(execute(tx, sql, &[steps.into(), live_change.into(), now().into(), id.into()])? == 1)
}

/// Takes the rows of all queues of an owner and increments their generations.
pub fn bump_queues_of(tx: &mut Tx, owner: &str) -> QueryResult<()> {
    let sql = "UPDATE waitlist_queues SET generation = generation + 1 WHERE owner = ?";
    execute(tx, sql, &[owner.into()])?;
    Ok(())
}

/// Takes the row of an owner of queues and increments its generation; `false` when there is none.
#[must_use = "without a row nothing is taken"]
pub fn bump_waitlist_owner(tx: &mut Tx, owner: &str) -> QueryResult<bool> {
    let sql = "UPDATE waitlist_owners SET generation = generation + 1 WHERE owner = ?";
    Ok(execute(tx, sql, &[owner.into()])? == 1)
}

/// Changes a ticket and increments its generation if it still is as it was read; `false` when another
/// writer was first.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_ticket(
    tx: &mut Tx,
    seen: &Ticket,
    now: NaiveDateTime,
    changes: TicketChanges,
) -> QueryResult<bool> {
    if changes.status.is_some() {
        tx.touch_ticket(&seen.uuid);
    }
    tx.touch_expiry(changes.expires_at.flatten().map(from_micros));
    let row =
        tickets::table.filter(tickets::uuid.eq(&seen.uuid)).filter(tickets::generation.eq(seen.generation));
    let changed = diesel::update(row)
        .set((tickets::generation.eq(tickets::generation + 1), tickets::updated_at.eq(now), changes))
        .execute(tx.conn())?;
    Ok(changed == 1)
}

/// Has tickets expire that are live and whose time has run out, and increments their generations; returns
/// how many did.
pub fn expire_tickets(tx: &mut Tx, uuids: &[&str], now: NaiveDateTime) -> QueryResult<usize> {
    uuids.iter().for_each(|uuid| tx.touch_ticket(uuid));
    // Behind CASE are conditions by which no database looks for rows. Each row is found by its uuid, so
    // that no other row is locked.
    let sql = "UPDATE waitlist_tickets SET status = 'expired', holds = NULL, generation = generation + 1, \
               updated_at = ? WHERE CASE WHEN status IN ('queued', 'active') AND expires_at <= ? \
               THEN 1 ELSE 0 END = 1 AND uuid";
    execute_listed(tx, sql, &[now.into(), micros(now).into()], uuids)
}

/// Increments the generation of a group of tickets if it still is `seen`; `false` when another writer
/// was first.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_group(tx: &mut Tx, uuid: &str, seen: i64) -> QueryResult<bool> {
    let sql = "UPDATE waitlist_groups SET generation = generation + 1 WHERE uuid = ? AND generation = ?";
    Ok(execute(tx, sql, &[uuid.into(), seen.into()])? == 1)
}

/// Takes the rows of groups of tickets and increments their generations, as far as they are there.
pub fn bump_groups(tx: &mut Tx, uuids: &[&str]) -> QueryResult<()> {
    uuids.iter().for_each(|uuid| tx.touch_ticket(uuid));
    let sql = "UPDATE waitlist_groups SET generation = generation + 1 WHERE uuid";
    execute_listed(tx, sql, &[], uuids)?;
    Ok(())
}

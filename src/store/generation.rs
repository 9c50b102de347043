//! The only place that changes generations: by compare-and-swap, or by an increment that also locks the row.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::commit::{Part, Tx};
use crate::db::Kind;
use crate::db::schema::waitlist_tickets as tickets;
use crate::db::statement::{Bind, execute, execute_listed, filled, named, returning_numbers};
use crate::ids::{ConsumerId, Generation, ProviderId};

use super::now;
use super::resource_providers::{self, ProviderKey};
use super::ticket::{Ticket, TicketChanges, from_micros, micros};

/// The beginning of the statement that increments a provider's generation. Each use of the macro appends a
/// WHERE clause.
macro_rules! bump_provider_sql {
    () => {
        "UPDATE resource_providers SET generation = generation + 1, updated_at = ?"
    };
}
pub(crate) use bump_provider_sql;

/// Increments a provider's generation if it still is `seen`. Returns false if another writer was first.
///
/// The provider's row stays locked until the transaction ends. So no other transaction can write to the
/// provider until then.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_provider(tx: &mut Tx, id: ProviderId, seen: Generation) -> QueryResult<bool> {
    tx.touch_provider(id, Part::Usage);
    let sql = named!(concat!(bump_provider_sql!(), " WHERE id = ? AND generation = ?"));
    Ok(execute(tx, sql, &[now().into(), id.into(), seen.into()])? == 1)
}

/// The largest number of providers in one statement of [`swap_providers`].
const MOST_SWAPS: usize = 32;

/// Adds a number to the generation of each provider if the generation still is the one that was seen. Returns false if
/// another writer was first at one of the providers. Only MariaDB needs this function.
///
/// The rows are locked in the order of their row ids, as other transactions lock them. If `is_impatient` is true, the server
/// stops the statement when it has waited for a second.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_providers(
    tx: &mut Tx,
    swaps: &[(ProviderId, Generation, i32)],
    is_impatient: bool,
) -> QueryResult<bool> {
    // MySQL takes this text for a comment.
    let limit = if is_impatient { "/*M! SET STATEMENT max_statement_time = 1 FOR */ " } else { "" };
    swaps.iter().for_each(|(id, ..)| tx.touch_provider(*id, Part::Usage));
    for chunk in swaps.chunks(MOST_SWAPS) {
        let listed: Vec<_> = filled(chunk, 1).collect();
        // While its statistics are those of an empty table, MariaDB would read and lock all rows without the hint.
        let sql = format!(
            "{limit}UPDATE resource_providers FORCE INDEX (PRIMARY) SET generation = generation + CASE id {} END, \
             updated_at = ? WHERE {}",
            vec!["WHEN ? THEN ?"; listed.len()].join(" "),
            vec!["(id = ? AND generation = ?)"; listed.len()].join(" OR ")
        );
        let steps = listed.iter().flat_map(|(id, _, steps)| [Bind::from(*id), Bind::Int(*steps)]);
        let seen = listed.iter().flat_map(|(id, seen, _)| [Bind::from(*id), Bind::from(*seen)]);
        let binds: Vec<Bind<'_>> = steps.chain([now().into()]).chain(seen).collect();
        if execute(tx, sql.as_str(), &binds)? != chunk.len() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Locks a provider's row and increments the generation. Returns false if the provider does not exist.
#[must_use = "a provider that is gone can't be written to"]
pub fn bump_provider(tx: &mut Tx, id: ProviderId) -> QueryResult<bool> {
    tx.touch_provider(id, Part::Usage);
    let sql = named!(concat!(bump_provider_sql!(), " WHERE id = ?"));
    Ok(execute(tx, sql, &[now().into(), id.into()])? == 1)
}

/// Locks the row of the provider with this uuid and increments the generation. Returns the row id, if any.
pub fn bump_provider_by_uuid(tx: &mut Tx, uuid: &str) -> QueryResult<Option<ProviderId>> {
    // MariaDB has no UPDATE … RETURNING, so the row id is read before the UPDATE.
    if tx.kind() == Kind::Mysql {
        let Some(ProviderKey { id, .. }) = resource_providers::find_key(tx, uuid)? else {
            return Ok(None);
        };
        return Ok(bump_provider(tx, id)?.then_some(id));
    }
    let sql = named!(concat!(bump_provider_sql!(), " WHERE uuid = ? RETURNING id"));
    let id = returning_numbers(tx, sql, &[now().into(), uuid.into()])?.pop().map(ProviderId::new);
    id.into_iter().for_each(|id| tx.touch_provider(id, Part::Usage));
    Ok(id)
}

/// Increments a consumer's generation if it still is `seen`. Returns false if another writer was first.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_consumer(tx: &mut Tx, id: ConsumerId, seen: Generation) -> QueryResult<bool> {
    let sql = named!(
        "UPDATE consumers SET generation = generation + 1, updated_at = ? \
         WHERE id = ? AND generation = ?"
    );
    Ok(execute(tx, sql, &[now().into(), id.into(), seen.into()])? == 1)
}

/// Locks a consumer's row and increments the generation. Returns false if the consumer does not exist.
#[must_use = "a consumer that is gone can't be written to"]
pub fn bump_consumer(tx: &mut Tx, id: ConsumerId) -> QueryResult<bool> {
    let sql = named!("UPDATE consumers SET generation = generation + 1, updated_at = ? WHERE id = ?");
    Ok(execute(tx, sql, &[now().into(), id.into()])? == 1)
}

/// Locks a queue's row, increments the generation, and adds `live_change` to the number of live tickets.
/// `live_change` is 1 if a ticket is created, and -1 if a ticket ends. Returns false if the queue does not exist.
#[must_use = "a queue that is gone can't be written to"]
pub fn bump_queue(tx: &mut Tx, id: i32, live_change: i32) -> QueryResult<bool> {
    step_queue(tx, id, 1, live_change)
}

/// Locks a queue's row because `tickets` of the queue's live tickets end, and adds `tickets` to the generation. A
/// negative number undoes a part of an earlier call in the same transaction. Returns false if the queue does not
/// exist.
#[must_use = "a queue that is gone can't be written to"]
pub fn leave_queue(tx: &mut Tx, id: i32, tickets: i32) -> QueryResult<bool> {
    step_queue(tx, id, tickets.into(), -tickets)
}

fn step_queue(tx: &mut Tx, id: i32, steps: i64, live_change: i32) -> QueryResult<bool> {
    let sql = "UPDATE waitlist_queues SET generation = generation + ?, live = live + ?, updated_at = ? \
               WHERE id = ?";
    Ok(execute(tx, sql, &[steps.into(), live_change.into(), now().into(), id.into()])? == 1)
}

/// Locks the rows of all queues of an owner and increments the generations of the queues.
pub fn bump_queues_of(tx: &mut Tx, owner: &str) -> QueryResult<()> {
    let sql = "UPDATE waitlist_queues SET generation = generation + 1 WHERE owner = ?";
    execute(tx, sql, &[owner.into()])?;
    Ok(())
}

/// Locks an owner's row in `waitlist_owners` and increments the generation. Returns false if there is no row.
#[must_use = "without a row nothing is taken"]
pub fn bump_waitlist_owner(tx: &mut Tx, owner: &str) -> QueryResult<bool> {
    let sql = "UPDATE waitlist_owners SET generation = generation + 1 WHERE owner = ?";
    Ok(execute(tx, sql, &[owner.into()])? == 1)
}

/// Changes a ticket and increments its generation, if the generation is still the one in `seen`. Returns
/// false if another writer has changed the ticket.
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

/// Gives the status `expired` to the live tickets out of `uuids` whose expiry has passed, and increments the
/// generations of these tickets. Returns the number of changed tickets.
pub fn expire_tickets(tx: &mut Tx, uuids: &[&str], now: NaiveDateTime) -> QueryResult<usize> {
    uuids.iter().for_each(|uuid| tx.touch_ticket(uuid));
    // No index is used for a condition inside CASE. So the rows are found by uuid, and no other row is locked.
    let sql = "UPDATE waitlist_tickets SET status = 'expired', holds = NULL, generation = generation + 1, \
               updated_at = ? WHERE CASE WHEN status IN ('queued', 'active') AND expires_at <= ? \
               THEN 1 ELSE 0 END = 1 AND uuid";
    execute_listed(tx, sql, &[now.into(), micros(now).into()], uuids)
}

/// Increments the generation of a group (tickets that were created together) if the generation still is `seen`.
/// Returns false if another writer has changed the generation.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_group(tx: &mut Tx, uuid: &str, seen: i64) -> QueryResult<bool> {
    let sql = "UPDATE waitlist_groups SET generation = generation + 1 WHERE uuid = ? AND generation = ?";
    Ok(execute(tx, sql, &[uuid.into(), seen.into()])? == 1)
}

/// Locks the rows of these groups and increments the generations of the groups. A uuid without a group is skipped.
pub fn bump_groups(tx: &mut Tx, uuids: &[&str]) -> QueryResult<()> {
    uuids.iter().for_each(|uuid| tx.touch_ticket(uuid));
    let sql = "UPDATE waitlist_groups SET generation = generation + 1 WHERE uuid";
    execute_listed(tx, sql, &[], uuids)?;
    Ok(())
}

//! The only place where a generation changes: a compare-and-swap, or a bump that takes the row.

use diesel::prelude::*;

use crate::db::schema::{consumers, resource_providers as rp};
use crate::db::{Part, Tx};

use super::now;

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

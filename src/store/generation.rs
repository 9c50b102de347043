//! The only place where a generation changes: a compare-and-swap, or a bump that takes the row.

use diesel::QueryResult;

#[cfg(feature = "mysql")]
use crate::db::DbConnection;
use crate::db::statement::{execute, returning_numbers};
use crate::db::{Part, Tx};

use super::now;
#[cfg(feature = "mysql")]
use super::resource_providers;

/// Increments a provider's generation if it still is `seen`; `false` when another writer was first.
///
/// The row stays taken until the transaction ends, so what is read after this can't change.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_provider(tx: &mut Tx, id: i32, seen: i32) -> QueryResult<bool> {
    tx.touch_provider(id, Part::Usage);
    let sql = "UPDATE resource_providers SET generation = generation + 1, updated_at = ? \
               WHERE id = ? AND generation = ?";
    Ok(execute(tx, sql, &[now().into(), id.into(), seen.into()])? == 1)
}

/// Takes a provider's row and increments its generation whatever it is; `false` when it is gone.
#[must_use = "a provider that is gone can't be written to"]
pub fn bump_provider(tx: &mut Tx, id: i32) -> QueryResult<bool> {
    tx.touch_provider(id, Part::Usage);
    let sql = "UPDATE resource_providers SET generation = generation + 1, updated_at = ? WHERE id = ?";
    Ok(execute(tx, sql, &[now().into(), id.into()])? == 1)
}

/// The same of the provider of this uuid, compared as a string, case and all; returns its row id.
pub fn bump_provider_by_uuid(tx: &mut Tx, uuid: &str) -> QueryResult<Option<i32>> {
    // MariaDB's UPDATE returns nothing.
    #[cfg(feature = "mysql")]
    if matches!(tx.conn(), DbConnection::Mysql(_)) {
        let Some((id, _)) = resource_providers::find_key(tx, uuid)? else {
            return Ok(None);
        };
        return Ok(bump_provider(tx, id)?.then_some(id));
    }
    let sql = "UPDATE resource_providers SET generation = generation + 1, updated_at = ? \
               WHERE uuid = ? RETURNING id";
    let id = returning_numbers(tx, sql, &[now().into(), uuid.into()])?.pop();
    id.into_iter().for_each(|id| tx.touch_provider(id, Part::Usage));
    Ok(id)
}

/// Increments a consumer's generation if it still is `seen`; `false` when another writer was first.
#[must_use = "a swap that failed is a conflict"]
pub fn swap_consumer(tx: &mut Tx, id: i32, seen: i32) -> QueryResult<bool> {
    let sql = "UPDATE consumers SET generation = generation + 1, updated_at = ? \
               WHERE id = ? AND generation = ?";
    Ok(execute(tx, sql, &[now().into(), id.into(), seen.into()])? == 1)
}

/// Takes a consumer's row and increments its generation whatever it is; `false` when it is gone.
#[must_use = "a consumer that is gone can't be written to"]
pub fn bump_consumer(tx: &mut Tx, id: i32) -> QueryResult<bool> {
    let sql = "UPDATE consumers SET generation = generation + 1, updated_at = ? WHERE id = ?";
    Ok(execute(tx, sql, &[now().into(), id.into()])? == 1)
}

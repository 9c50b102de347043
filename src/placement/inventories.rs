//! The rules for inventories. An inventory is the amount of one resource class that a provider has.

use std::collections::HashMap;

use crate::commit::Tx;
use crate::db::DbConnection;
use crate::ids::{ClassId, Generation, ProviderId};
use crate::store::inventories as rows;
use crate::store::inventories::{Amounts, Inventory};
use crate::store::{allocations, resource_classes};

use super::resource_classes::{find, find_ids, lock_classes};
use super::resource_providers::{bump, bump_at, find_key};
use super::{Error, Result};

/// The largest amount of an inventory that may be reserved. The microversion decides which limit applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservedLimit {
    /// The reserved amount must be smaller than the total (before microversion 1.26).
    BelowTotal,
    /// The reserved amount may be equal to the total (microversion 1.26 and later).
    Total,
}

impl ReservedLimit {
    /// Fails with [`Error::Reserved`] if the reserved amount is larger than this limit.
    pub fn check(self, uuid: &str, class: &str, amounts: &Amounts) -> Result<()> {
        // Only whole units count. For example, a capacity of 0.4 counts as 0.
        let capacity = amounts.capacity().trunc();
        let allowed = match self {
            ReservedLimit::BelowTotal => capacity > 0.0,
            ReservedLimit::Total => capacity >= 0.0,
        };
        if allowed {
            return Ok(());
        }
        let may_equal_total = self == ReservedLimit::Total;
        Err(Error::Reserved { class: class.to_owned(), uuid: uuid.to_owned(), may_equal_total })
    }
}

/// Returns the generation and the inventories of a provider.
pub fn list_by_provider(conn: &mut DbConnection, uuid: &str) -> Result<(Generation, Vec<Inventory>)> {
    rows::list_by_provider_uuid(conn, uuid)?.ok_or_else(|| Error::ProviderNotFound(uuid.to_owned()))
}

/// Replaces all inventories of a provider. The provider's generation must be `given`. Returns the new
/// generation.
pub fn replace(
    tx: &mut Tx,
    uuid: &str,
    given: i64,
    list: &[(String, Amounts)],
    limit: ReservedLimit,
) -> Result<Generation> {
    let id = bump_at(tx, uuid, given)?;
    list.iter().try_for_each(|(class, amounts)| limit.check(uuid, class, amounts))?;
    set_all(tx, id, uuid, list)?;
    generation_after(tx, uuid)
}

/// Deletes all inventories of a provider.
pub fn delete_all(tx: &mut Tx, uuid: &str) -> Result<()> {
    let id = bump(tx, uuid)?;
    set_all(tx, id, uuid, &[])
}

/// Adds an inventory of a class to a provider. Fails if the provider already has an inventory of that class.
/// Returns the new generation.
pub fn create(
    tx: &mut Tx,
    uuid: &str,
    class: &str,
    amounts: Amounts,
    limit: ReservedLimit,
) -> Result<Generation> {
    let id = bump(tx, uuid)?;
    limit.check(uuid, class, &amounts)?;
    let class_id = find(tx, class)?.id;
    if rows::class_ids(tx, id)?.contains(&class_id) {
        return Err(Error::DuplicateInventory { uuid: uuid.to_owned(), class: class.to_owned() });
    }
    lock_classes(tx, &[class_id])?;
    rows::insert(tx, id, &[(class_id, amounts)])?;
    generation_after(tx, uuid)
}

/// Overwrites a provider's inventory of one class. The provider's generation must be `given`. Returns the new
/// generation.
pub fn update(
    tx: &mut Tx,
    uuid: &str,
    given: i64,
    (class, amounts): (&str, Amounts),
    limit: ReservedLimit,
) -> Result<Generation> {
    let id = bump_at(tx, uuid, given)?;
    limit.check(uuid, class, &amounts)?;
    let class_id = find(tx, class)?.id;
    if !rows::update(tx, id, class_id, &amounts)? {
        return Err(Error::InventoryNotFound(class.to_owned()));
    }
    generation_after(tx, uuid)
}

/// Deletes a provider's inventory of one class.
pub fn delete(tx: &mut Tx, uuid: &str, class: &str) -> Result<()> {
    let id = bump(tx, uuid)?;
    let class_id = find(tx, class)?.id;
    remove(tx, id, uuid, &[class_id])?
        .then_some(())
        .ok_or_else(|| Error::NoInventoryToDelete(class.to_owned()))
}

/// Replaces all inventories of a provider. The caller must have locked the provider's row.
pub(super) fn set_all(tx: &mut Tx, id: ProviderId, uuid: &str, list: &[(String, Amounts)]) -> Result<()> {
    let names: Vec<&str> = list.iter().map(|(class, _)| class.as_str()).collect();
    let wanted: HashMap<ClassId, Amounts> =
        find_ids(tx, &names)?.into_iter().zip(list.iter().map(|(_, amounts)| *amounts)).collect();
    let present = rows::class_ids(tx, id)?;
    let gone: Vec<ClassId> = present.iter().copied().filter(|class| !wanted.contains_key(class)).collect();
    remove(tx, id, uuid, &gone)?;
    let mut added: Vec<(ClassId, Amounts)> = Vec::new();
    for (class_id, amounts) in wanted {
        if present.contains(&class_id) {
            rows::update(tx, id, class_id, &amounts)?;
        } else {
            added.push((class_id, amounts));
        }
    }
    added.sort_unstable_by_key(|(class_id, _)| *class_id);
    lock_classes(tx, &added.iter().map(|(class_id, _)| *class_id).collect::<Vec<_>>())?;
    Ok(rows::insert(tx, id, &added)?)
}

/// Deletes inventories of a provider. Fails with [`Error::InventoryInUse`] if consumers have allocations from
/// one of the inventories. Returns whether any row was deleted.
fn remove(tx: &mut Tx, id: ProviderId, uuid: &str, class_ids: &[ClassId]) -> Result<bool> {
    if class_ids.is_empty() {
        return Ok(false);
    }
    let in_use = allocations::classes_in_use(tx, id, class_ids)?;
    if !in_use.is_empty() {
        let names: Vec<String> =
            resource_classes::names_of(tx, &in_use)?.into_iter().map(|(_, name)| name).collect();
        return Err(Error::InventoryInUse { classes: names.join(", "), uuid: uuid.to_owned() });
    }
    Ok(rows::delete(tx, id, class_ids)? > 0)
}

fn generation_after(conn: &mut DbConnection, uuid: &str) -> Result<Generation> {
    Ok(find_key(conn, uuid)?.generation)
}

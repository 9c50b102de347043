//! The rules for resource classes: standard classes, and custom classes that clients create.

use crate::commit::Tx;
use crate::db::DbConnection;
use crate::ids::ClassId;
use crate::store::inventories;
use crate::store::resource_classes as rows;
use crate::store::resource_classes::{FIRST_CUSTOM_ID, ResourceClass};

use super::{Error, Result};

/// Returns all classes, standard classes first.
pub fn list(conn: &mut DbConnection) -> Result<Vec<ResourceClass>> {
    Ok(rows::list(conn)?)
}

/// Returns the class of this name.
pub fn find(conn: &mut DbConnection, name: &str) -> Result<ResourceClass> {
    rows::find_by_name(conn, name)?.ok_or_else(|| Error::ResourceClassNotFound(name.to_owned()))
}

/// Returns the row ids of classes, in the order of `names`. Fails if one of the classes does not exist.
pub(super) fn find_ids(conn: &mut DbConnection, names: &[&str]) -> Result<Vec<ClassId>> {
    let mut distinct = names.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let known: std::collections::HashMap<String, ClassId> =
        rows::find_ids(conn, &distinct)?.into_iter().collect();
    names
        .iter()
        .map(|name| known.get(*name).copied().ok_or_else(|| Error::ResourceClassNotFound((*name).to_owned())))
        .collect()
}

/// Creates a custom class.
pub fn create(tx: &mut Tx, name: &str) -> Result<()> {
    if rows::find_by_name(tx, name)?.is_some() {
        return Err(Error::DuplicateResourceClass(name.to_owned()));
    }
    Ok(rows::insert_custom(tx, name)?)
}

/// Creates a custom class if the class does not exist. Returns whether the class is new.
pub fn ensure(tx: &mut Tx, name: &str) -> Result<bool> {
    match create(tx, name) {
        Ok(()) => Ok(true),
        Err(Error::DuplicateResourceClass(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Renames a custom class.
pub fn rename(tx: &mut Tx, name: &str, new_name: &str) -> Result<ResourceClass> {
    let class = find_custom(tx, name)?;
    if rows::find_by_name(tx, new_name)?.is_some_and(|other| other.id != class.id) {
        return Err(Error::DuplicateResourceClass(new_name.to_owned()));
    }
    rows::rename(tx, class.id, new_name)?;
    find(tx, new_name)
}

/// Deletes a custom class. Fails if a provider has an inventory of the class.
pub fn delete(tx: &mut Tx, name: &str) -> Result<()> {
    let class = find_custom(tx, name)?;
    // A transaction that adds an inventory of this class locks the class's row until its commit. So this
    // DELETE waits for that transaction, and the check below sees the new inventory. A transaction that
    // begins later does not find the class.
    if rows::delete(tx, class.id)? == 0 {
        return Err(Error::lost_race());
    }
    if inventories::class_in_use(tx, class.id)? {
        return Err(Error::ResourceClassInUse(name.to_owned()));
    }
    Ok(())
}

/// Locks the rows of classes until the transaction ends, so that no other transaction deletes these classes.
pub(super) fn lock_classes(tx: &mut Tx, ids: &[ClassId]) -> Result<()> {
    // If another transaction has just deleted a class, this transaction runs again, and reports that the
    // class does not exist.
    if rows::lock_shared(tx, ids)? { Ok(()) } else { Err(Error::lost_race()) }
}

fn find_custom(conn: &mut DbConnection, name: &str) -> Result<ResourceClass> {
    let class = find(conn, name)?;
    if class.id < FIRST_CUSTOM_ID { Err(Error::StandardResourceClass(name.to_owned())) } else { Ok(class) }
}

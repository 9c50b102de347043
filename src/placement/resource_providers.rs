//! The rules for resource providers. Each provider can have a parent, so providers form trees.

use std::collections::HashMap;

use crate::commit::Tx;
use crate::db::DbConnection;
use crate::ids::{Generation, ProviderId};
use crate::store::resource_providers::{self as rows, ProviderKey, ResourceProvider};
use crate::store::{allocations, generation, waitlist_queues};

use super::{Error, Result};

const NO_PARENT: &str = "parent provider UUID does not exist.";

/// A provider that a client wants to create.
#[derive(Clone, Debug)]
pub struct NewProvider {
    /// The uuid, in lower case with hyphens.
    pub uuid: String,
    /// The name.
    pub name: String,
    /// The uuid of the parent. If `None`, the provider is the root of a new tree.
    pub parent_uuid: Option<String>,
}

/// The changes that a client wants to make to a provider.
#[derive(Clone, Debug)]
pub struct ProviderChanges {
    /// The new name, which may be equal to the present name.
    pub name: String,
    /// The uuid of the new parent. `None` keeps the present parent, and `Some(None)` makes the provider a
    /// root.
    pub parent_uuid: Option<Option<String>>,
    /// Whether a provider that has a parent may get another parent, or become a root.
    pub allow_reparenting: bool,
}

/// Returns the provider of this uuid.
pub fn find(conn: &mut DbConnection, uuid: &str) -> Result<ResourceProvider> {
    rows::find_by_uuid(conn, uuid)?.ok_or_else(|| Error::ProviderNotFound(uuid.to_owned()))
}

/// Returns the row id and the generation of the provider of this uuid.
pub fn find_key(conn: &mut DbConnection, uuid: &str) -> Result<ProviderKey> {
    rows::find_key(conn, uuid)?.ok_or_else(|| Error::ProviderNotFound(uuid.to_owned()))
}

/// Locks the row of a provider and increments its generation. Returns the row id.
pub(super) fn bump(tx: &mut Tx, uuid: &str) -> Result<ProviderId> {
    let ProviderKey { id, .. } = find_key(tx, uuid)?;
    bump_id(tx, id)?;
    Ok(id)
}

/// Locks the row of a provider and increments its generation. The caller has read the row id in this
/// transaction.
pub(super) fn bump_id(tx: &mut Tx, id: ProviderId) -> Result<()> {
    // If another transaction has just deleted the provider, this transaction runs again, and reports that the
    // provider does not exist.
    if generation::bump_provider(tx, id)? { Ok(()) } else { Err(Error::lost_race()) }
}

/// Locks the row of a provider and increments its generation. Fails with [`Error::ProviderGeneration`] if the
/// generation is not `given`. Returns the row id.
pub(super) fn bump_at(tx: &mut Tx, uuid: &str, given: i64) -> Result<ProviderId> {
    let ProviderKey { id, generation: actual } = find_key(tx, uuid)?;
    check_given(uuid, actual, given)?;
    // If another writer was first, the transaction runs again, reads the new generation, and reports the
    // conflict.
    if generation::swap_provider(tx, id, actual)? { Ok(id) } else { Err(Error::lost_race()) }
}

/// Fails if `given` is not the provider's generation `actual`.
pub(super) fn check_given(uuid: &str, actual: Generation, given: i64) -> Result<()> {
    if actual.is(given) {
        return Ok(());
    }
    Err(Error::ProviderGeneration { uuid: uuid.to_owned(), actual, given })
}

/// Locks the row of a provider without changing its generation.
pub(super) fn lock(tx: &mut Tx, id: ProviderId) -> Result<()> {
    if rows::lock(tx, id)? { Ok(()) } else { Err(Error::lost_race()) }
}

/// Creates a provider.
pub fn create(tx: &mut Tx, new: &NewProvider) -> Result<ResourceProvider> {
    let refused = |reason| Error::Tree { action: "create", reason };
    if new.name.is_empty() {
        return Err(refused("name is required"));
    }
    let parent = match &new.parent_uuid {
        None => None,
        Some(uuid) if *uuid == new.uuid => {
            return Err(refused(
                "parent provider UUID cannot be same as UUID. Please set parent provider UUID to None if there is no parent.",
            ));
        }
        Some(uuid) => Some(rows::find_by_uuid(tx, uuid)?.ok_or_else(|| refused(NO_PARENT))?),
    };
    if rows::find_key(tx, &new.uuid)?.is_some() {
        return Err(Error::DuplicateProviderUuid(new.uuid.clone()));
    }
    if rows::find_id_by_name(tx, &new.name)?.is_some() {
        return Err(Error::DuplicateProviderName(new.name.clone()));
    }
    // The root provider of the parent's tree is locked, so that the parent can't move before this transaction
    // commits.
    if let Some(parent) = &parent {
        lock_trees(tx, vec![parent.root_id], &[parent])?;
    }
    rows::insert(tx, &new.uuid, &new.name, parent.as_ref())?;
    find(tx, &new.uuid)
}

/// Renames a provider. If a new parent is given, also moves the provider and all its descendants below that
/// parent.
pub fn update(tx: &mut Tx, uuid: &str, changes: &ProviderChanges) -> Result<ResourceProvider> {
    let provider = find(tx, uuid)?;
    if rows::find_id_by_name(tx, &changes.name)?.is_some_and(|id| id != provider.id) {
        return Err(Error::DuplicateProviderName(changes.name.clone()));
    }
    if let Some(parent_uuid) = &changes.parent_uuid {
        move_below(tx, &provider, parent_uuid.as_deref(), changes.allow_reparenting)?;
    }
    rows::rename(tx, provider.id, &changes.name)?;
    find(tx, uuid)
}

/// Deletes a provider. Fails if the provider has children, allocations or live tickets in waitlist queues.
pub fn delete(tx: &mut Tx, uuid: &str) -> Result<()> {
    let provider = find(tx, uuid)?;
    let id = provider.id;
    bump_id(tx, id)?;
    if rows::has_children(tx, id)? {
        return Err(Error::ProviderHasChildren);
    }
    if allocations::provider_in_use(tx, id)? {
        return Err(Error::ProviderInUse);
    }
    if !waitlist_queues::close_owner(tx, &provider.uuid)? {
        return Err(Error::ProviderAwaited);
    }
    Ok(rows::delete(tx, id)?)
}

fn move_below(
    tx: &mut Tx,
    provider: &ResourceProvider,
    parent_uuid: Option<&str>,
    allow_reparenting: bool,
) -> Result<()> {
    let refused = |reason| Error::Tree { action: "update", reason };
    let Some(parent_uuid) = parent_uuid else {
        if provider.parent_id.is_none() {
            return Ok(());
        }
        if !allow_reparenting {
            return Err(refused("un-parenting a provider is not currently allowed."));
        }
        lock_trees(tx, vec![provider.root_id], &[provider])?;
        return reparent(tx, provider, None, provider.id);
    };
    // Placement reports the action "create" here, although the provider is updated. Clients may look for that
    // word.
    let parent =
        rows::find_by_uuid(tx, parent_uuid)?.ok_or(Error::Tree { action: "create", reason: NO_PARENT })?;
    if provider.parent_id.is_some_and(|id| id != parent.id) && !allow_reparenting {
        return Err(refused("re-parenting a provider is not currently allowed."));
    }
    lock_trees(tx, vec![provider.root_id, parent.root_id], &[provider, &parent])?;
    if subtree(tx, provider)?.contains(&parent.id) {
        return Err(refused("creating loop in the provider tree is not allowed."));
    }
    if provider.parent_id == Some(parent.id) {
        return Ok(());
    }
    reparent(tx, provider, Some(parent.id), parent.root_id)
}

/// Locks the root providers of trees, so that no other transaction changes the shape of the trees. If a provider in
/// `seen` has moved since it was read, the transaction runs again.
fn lock_trees(tx: &mut Tx, mut root_ids: Vec<ProviderId>, seen: &[&ResourceProvider]) -> Result<()> {
    rows::lock_roots(tx, &mut root_ids)?;
    for provider in seen {
        let now = rows::find_by_uuid(tx, &provider.uuid)?;
        if now.is_none_or(|now| (now.root_id, now.parent_id) != (provider.root_id, provider.parent_id)) {
            return Err(Error::lost_race());
        }
    }
    Ok(())
}

fn reparent(
    tx: &mut Tx,
    provider: &ResourceProvider,
    parent_id: Option<ProviderId>,
    root_id: ProviderId,
) -> Result<()> {
    let moved = subtree(tx, provider)?;
    rows::set_parent(tx, provider.id, parent_id)?;
    if root_id != provider.root_id {
        rows::set_root(tx, &moved, root_id)?;
    }
    Ok(())
}

/// Returns the row ids of a provider and of all its descendants.
fn subtree(conn: &mut DbConnection, provider: &ResourceProvider) -> Result<Vec<ProviderId>> {
    let mut children: HashMap<ProviderId, Vec<ProviderId>> = HashMap::new();
    for (id, parent) in rows::tree_edges(conn, provider.root_id)? {
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = vec![provider.id];
    let mut next = 0;
    while let Some(id) = found.get(next) {
        // Each entry of `children` is removed when it is used, so the loop ends even if the parents in a
        // broken database form a circle.
        found.extend(children.remove(id).unwrap_or_default());
        next += 1;
    }
    Ok(found)
}

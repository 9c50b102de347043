//! The membership of resource providers in aggregates. An aggregate is a group of providers, named by a uuid.

use std::collections::HashSet;

use crate::commit::Tx;
use crate::db::DbConnection;
use crate::ids::Generation;
use crate::store::aggregates as rows;
use crate::store::resource_providers::ProviderKey;

use super::resource_providers::{bump_at, find_key, lock};
use super::{Error, Result};

/// Returns the generation of a provider, and the uuids of the aggregates of which the provider is a member.
pub fn list_by_provider(conn: &mut DbConnection, uuid: &str) -> Result<(Generation, Vec<String>)> {
    rows::list_by_provider_uuid(conn, uuid)?.ok_or_else(|| Error::ProviderNotFound(uuid.to_owned()))
}

/// Makes a provider a member of exactly `aggregates`. Returns the provider's generation after this change.
///
/// If `given` is a generation, the provider must have that generation, and the generation is incremented. If
/// `given` is `None` (microversions before 1.19), the generation stays unchanged.
pub fn replace(tx: &mut Tx, uuid: &str, given: Option<i64>, aggregates: &[String]) -> Result<Generation> {
    let ProviderKey { id, mut generation } = find_key(tx, uuid)?;
    match given {
        Some(given) => {
            bump_at(tx, uuid, given)?;
            generation = generation.next();
        }
        None => lock(tx, id)?,
    }
    let wanted: HashSet<&str> = aggregates.iter().map(String::as_str).collect();
    let present = rows::list_by_provider(tx, id)?;
    let known: HashSet<&str> = present.iter().filter_map(|(_, uuid)| uuid.as_deref()).collect();
    let other: Vec<&str> = wanted.difference(&known).copied().collect();
    // A uuid in `other` may be another spelling of a present aggregate, since MariaDB ignores case when it
    // compares uuids. So the row ids are compared from here on.
    let other = rows::ensure(tx, &other)?;
    let present_ids: HashSet<i32> = present.iter().map(|(id, _)| *id).collect();
    let to_add: Vec<i32> = other.iter().copied().filter(|id| !present_ids.contains(id)).collect();
    let is_wanted = |id: &i32, uuid: &Option<String>| {
        uuid.as_deref().is_some_and(|uuid| wanted.contains(uuid)) || other.binary_search(id).is_ok()
    };
    let to_remove: Vec<i32> =
        present.iter().filter(|(id, uuid)| !is_wanted(id, uuid)).map(|(id, _)| *id).collect();
    rows::dissociate(tx, id, &to_remove)?;
    rows::associate(tx, id, &to_add)?;
    Ok(generation)
}

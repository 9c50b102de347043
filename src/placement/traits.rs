//! Traits, and which providers have them.

use std::collections::HashSet;

use crate::commit::Tx;
use crate::db::DbConnection;
use crate::store::known_traits::KnownTraits;
use crate::store::lines::Lines;
use crate::store::traits as rows;
use crate::store::traits::Trait;

use super::resource_providers::{check_given, find_key, take_at, take_id};
use super::{Error, Result};

/// Custom traits begin like this; all others are standard.
pub const CUSTOM_PREFIX: &str = "CUSTOM_";

/// Which traits to list; everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// Only these names.
    pub names: Option<HashSet<String>>,
    /// Only names that begin like this.
    pub prefix: Option<String>,
    /// Only those that some provider has, or that none has.
    pub associated: Option<bool>,
}

/// The traits for which all of `filter` holds, standard ones first.
pub fn list(conn: &mut DbConnection, filter: &ListFilter) -> Result<Vec<Trait>> {
    let associated = match filter.associated {
        Some(wanted) => Some((wanted, rows::associated_ids(conn)?)),
        None => None,
    };
    let mut found = rows::list(conn)?;
    found.retain(|t| {
        filter.names.as_ref().is_none_or(|names| names.contains(&t.name))
            && filter.prefix.as_ref().is_none_or(|prefix| t.name.starts_with(prefix.as_str()))
            && associated.as_ref().is_none_or(|(wanted, ids)| ids.contains(&t.id) == *wanted)
    });
    Ok(found)
}

/// The trait of this name.
pub fn find(conn: &mut DbConnection, name: &str) -> Result<Trait> {
    rows::find_by_name(conn, name)?.ok_or_else(|| Error::TraitNotFound(name.to_owned()))
}

/// The traits of these names, in the order of their ids; all must exist.
pub fn find_all(conn: &mut DbConnection, names: &[&str]) -> Result<Vec<Trait>> {
    let found = rows::find_by_names(conn, names)?;
    let known: HashSet<&str> = found.iter().map(|t| t.name.as_str()).collect();
    let mut unknown: Vec<&str> = names.iter().copied().filter(|name| !known.contains(name)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    if unknown.is_empty() { Ok(found) } else { Err(Error::TraitNotFound(unknown.join(", "))) }
}

/// The trait of this name and whether it was made just now.
pub fn ensure(tx: &mut Tx, name: &str) -> Result<(Trait, bool)> {
    if let Some(found) = rows::find_by_name(tx, name)? {
        return Ok((found, false));
    }
    rows::insert(tx, &[name])?;
    Ok((find(tx, name)?, true))
}

/// Deletes a custom trait that no provider has.
pub fn delete(tx: &mut Tx, name: &str) -> Result<()> {
    let found = find(tx, name)?;
    if !name.starts_with(CUSTOM_PREFIX) {
        return Err(Error::StandardTrait(name.to_owned()));
    }
    if rows::in_use(tx, found.id)? {
        return Err(Error::TraitInUse(name.to_owned()));
    }
    rows::delete(tx, found.id)?;
    Ok(())
}

/// The names of a provider's traits, in the order of their ids.
pub fn list_by_provider(conn: &mut DbConnection, known: &KnownTraits, uuid: &str) -> Result<Lines> {
    rows::list_by_provider_uuid(conn, known, uuid)?.ok_or_else(|| Error::ProviderNotFound(uuid.to_owned()))
}

/// Gives a provider exactly these traits if its generation is `given`; returns the generation that
/// it has then, which is a new one only if its traits changed.
pub fn replace(tx: &mut Tx, uuid: &str, given: i64, names: &[String]) -> Result<(i32, Vec<Trait>)> {
    let (id, actual) = find_key(tx, uuid)?;
    check_given(uuid, actual, given)?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let wanted = find_all(tx, &names)?;
    let (to_add, to_remove) = difference(tx, id, &wanted)?;
    if to_add.is_empty() && to_remove.is_empty() {
        // Another writer may have made them so since the generation was read.
        let (_, actual) = find_key(tx, uuid)?;
        check_given(uuid, actual, given)?;
        return Ok((actual, wanted));
    }
    // Traits change only together with the generation, so the difference still holds if this does.
    take_at(tx, uuid, given)?;
    rows::dissociate(tx, id, &to_remove)?;
    rows::associate(tx, id, &to_add)?;
    Ok((actual + 1, wanted))
}

/// Takes all traits from a provider.
pub fn delete_by_provider(tx: &mut Tx, uuid: &str) -> Result<()> {
    let (id, _) = find_key(tx, uuid)?;
    if rows::list_by_provider(tx, id)?.is_empty() {
        return Ok(());
    }
    take_id(tx, id)?;
    let (_, to_remove) = difference(tx, id, &[])?;
    Ok(rows::dissociate(tx, id, &to_remove)?)
}

/// The ids of the traits to add to a provider and of those to take from it.
fn difference(conn: &mut DbConnection, provider_id: i32, wanted: &[Trait]) -> Result<(Vec<i32>, Vec<i32>)> {
    let wanted: HashSet<i32> = wanted.iter().map(|t| t.id).collect();
    let present: HashSet<i32> = rows::list_by_provider(conn, provider_id)?.iter().map(|t| t.id).collect();
    Ok((wanted.difference(&present).copied().collect(), present.difference(&wanted).copied().collect()))
}

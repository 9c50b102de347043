//! The rules for traits, and for the traits of providers. A trait is a quality of a provider, such as
//! `HW_CPU_X86_AVX2`.

use std::collections::HashSet;

use crate::commit::Tx;
use crate::db::DbConnection;
use crate::ids::{Generation, ProviderId, TraitId};
use crate::store::joined_rows::JoinedRows;
use crate::store::known_traits::KnownTraits;
use crate::store::resource_providers::ProviderKey;
use crate::store::traits as rows;
use crate::store::traits::Trait;

use super::resource_providers::{bump_at, bump_id, check_given, find_key};
use super::{Error, Result};

/// The prefix of the names of custom traits. Every trait without this prefix is a standard trait.
pub const CUSTOM_PREFIX: &str = "CUSTOM_";

/// The conditions of a list of traits. A trait must fulfil all conditions that are given.
#[derive(Clone, Debug, Default)]
pub struct TraitFilter {
    /// The trait must have one of these names.
    pub names: Option<HashSet<String>>,
    /// The trait's name must begin with this prefix.
    pub prefix: Option<String>,
    /// If true, at least one provider must have the trait. If false, no provider may have the trait.
    pub associated: Option<bool>,
}

/// Returns the traits that fulfil all conditions of `filter`, standard traits first.
pub fn list(conn: &mut DbConnection, filter: &TraitFilter) -> Result<Vec<Trait>> {
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

/// Returns the trait of this name.
pub fn find(conn: &mut DbConnection, name: &str) -> Result<Trait> {
    rows::find_by_name(conn, name)?.ok_or_else(|| Error::TraitNotFound(name.to_owned()))
}

/// Returns the traits of these names, in the order of their row ids. Fails if one of the traits does not
/// exist.
pub fn find_all(conn: &mut DbConnection, names: &[&str]) -> Result<Vec<Trait>> {
    let found = rows::find_by_names(conn, names)?;
    let known: HashSet<&str> = found.iter().map(|t| t.name.as_str()).collect();
    let mut unknown: Vec<&str> = names.iter().copied().filter(|name| !known.contains(name)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    if unknown.is_empty() { Ok(found) } else { Err(Error::TraitNotFound(unknown.join(", "))) }
}

/// Returns the trait of this name, and creates the trait if it does not exist. The boolean is true for a new
/// trait.
pub fn ensure(tx: &mut Tx, name: &str) -> Result<(Trait, bool)> {
    if let Some(found) = rows::find_by_name(tx, name)? {
        return Ok((found, false));
    }
    rows::insert(tx, &[name])?;
    Ok((find(tx, name)?, true))
}

/// Deletes a custom trait. Fails if a provider has the trait.
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

/// Returns the names of a provider's traits, in the order of the traits' row ids.
pub fn list_by_provider(conn: &mut DbConnection, known: &KnownTraits, uuid: &str) -> Result<JoinedRows> {
    rows::list_by_provider_uuid(conn, known, uuid)?.ok_or_else(|| Error::ProviderNotFound(uuid.to_owned()))
}

/// Replaces all traits of a provider. The provider's generation must be `given`. Returns the generation after
/// the change, and the traits. The generation is incremented only if the traits differ from the present
/// traits.
pub fn replace(tx: &mut Tx, uuid: &str, given: i64, names: &[String]) -> Result<(Generation, Vec<Trait>)> {
    let ProviderKey { id, generation: actual } = find_key(tx, uuid)?;
    check_given(uuid, actual, given)?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let wanted = find_all(tx, &names)?;
    let (to_add, to_remove) = difference(tx, id, &wanted)?;
    if to_add.is_empty() && to_remove.is_empty() {
        // Another writer may have set the wanted traits after the generation was read. So the generation is
        // checked again.
        let actual = find_key(tx, uuid)?.generation;
        check_given(uuid, actual, given)?;
        return Ok((actual, wanted));
    }
    // If the generation is still `given`, the difference is valid, because each change of traits increments the
    // generation.
    bump_at(tx, uuid, given)?;
    rows::dissociate(tx, id, &to_remove)?;
    rows::associate(tx, id, &to_add)?;
    Ok((actual.next(), wanted))
}

/// Deletes all traits of a provider. If the provider has no traits, its generation stays unchanged.
pub fn delete_by_provider(tx: &mut Tx, uuid: &str) -> Result<()> {
    let id = find_key(tx, uuid)?.id;
    if rows::ids_of_provider(tx, id)?.is_empty() {
        return Ok(());
    }
    bump_id(tx, id)?;
    let (_, to_remove) = difference(tx, id, &[])?;
    Ok(rows::dissociate(tx, id, &to_remove)?)
}

/// Compares the provider's traits with the wanted traits. Returns the ids of the traits to add, and the ids
/// of the traits to remove.
fn difference(
    conn: &mut DbConnection,
    provider_id: ProviderId,
    wanted: &[Trait],
) -> Result<(Vec<TraitId>, Vec<TraitId>)> {
    let wanted: HashSet<TraitId> = wanted.iter().map(|t| t.id).collect();
    let present = rows::ids_of_provider(conn, provider_id)?;
    Ok((wanted.difference(&present).copied().collect(), present.difference(&wanted).copied().collect()))
}

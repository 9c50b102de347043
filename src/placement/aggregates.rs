//! Which aggregates a provider is a member of.

use std::collections::HashSet;

use crate::db::{DbConnection, Tx};
use crate::store::aggregates as rows;

use super::Result;
use super::resource_providers::{find_key, hold, take_at};

/// A provider's generation and the uuids of its aggregates.
pub fn list_by_provider(conn: &mut DbConnection, uuid: &str) -> Result<(i32, Vec<String>)> {
    let (id, generation) = find_key(conn, uuid)?;
    let aggregates = rows::list_by_provider(conn, id)?;
    Ok((generation, aggregates.into_iter().filter_map(|(_, uuid)| uuid).collect()))
}

/// Makes a provider a member of exactly these aggregates; returns the generation that it has then.
///
/// With a generation `given` it must be that one, and is incremented; without, it is left alone.
pub fn replace(tx: &mut Tx, uuid: &str, given: Option<i64>, aggregates: &[String]) -> Result<i32> {
    let (id, mut generation) = find_key(tx, uuid)?;
    match given {
        Some(given) => {
            take_at(tx, uuid, given)?;
            generation += 1;
        }
        None => hold(tx, id)?,
    }
    let wanted: HashSet<&str> = aggregates.iter().map(String::as_str).collect();
    let present = rows::list_by_provider(tx, id)?;
    let known: HashSet<&str> = present.iter().filter_map(|(_, uuid)| uuid.as_deref()).collect();
    let added: Vec<&str> = wanted.difference(&known).copied().collect();
    let to_add = rows::ensure(tx, &added)?;
    let to_remove: Vec<i32> = present
        .iter()
        .filter(|(_, uuid)| uuid.as_deref().is_none_or(|uuid| !wanted.contains(uuid)))
        .map(|(id, _)| *id)
        .collect();
    rows::dissociate(tx, id, &to_remove)?;
    rows::associate(tx, id, &to_add)?;
    Ok(generation)
}

//! A cache of trait names by row id. The cache is used only with PostgreSQL, since PostgreSQL never gives the
//! row id of a deleted trait to a new trait.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::QueryResult;
use parking_lot::RwLock;

use super::joined_rows::JoinedRows;
use crate::ids::{Generation, TraitId};

/// The traits that this process has read. The name of a trait never changes.
#[derive(Debug, Default)]
pub struct KnownTraits(RwLock<ById>);

/// Traits by row id: the name, and the time of the last change or creation.
pub type ById = HashMap<TraitId, (String, Option<NaiveDateTime>)>;

/// The largest number of cached traits. The cache is emptied before it would exceed this number.
const MOST: usize = 65_536;

impl KnownTraits {
    /// Returns the names of the traits with these row ids, in the order of `ids`, together with the provider's
    /// generation. If a row id is not in the cache, `find` looks up all of `ids`. A deleted trait may be left out.
    pub fn names(
        &self,
        generation: Generation,
        ids: &[TraitId],
        find: impl FnOnce() -> QueryResult<ById>,
    ) -> QueryResult<JoinedRows> {
        {
            let seen = self.0.read();
            if ids.iter().all(|id| seen.contains_key(id)) {
                return Ok(named(&seen, generation, ids));
            }
        }
        let found = find()?;
        let names = named(&found, generation, ids);
        let mut seen = self.0.write();
        if seen.len() + found.len() > MOST {
            seen.clear();
        }
        seen.extend(found);
        Ok(names)
    }
}

fn named(traits: &ById, generation: Generation, ids: &[TraitId]) -> JoinedRows {
    let found = ids.iter().filter_map(|id| traits.get(id));
    JoinedRows::of_each(generation, found.map(|(name, changed_at)| (name.as_str(), *changed_at)))
}

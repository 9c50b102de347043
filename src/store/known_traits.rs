//! Names of traits by id, kept in memory on PostgreSQL, which never gives an id twice.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::QueryResult;
use parking_lot::RwLock;

use super::joined_rows::JoinedRows;

/// The traits that this process has seen. Traits never change.
#[derive(Debug, Default)]
pub struct KnownTraits(RwLock<ById>);

/// Traits by id: the name, and the time of the change or creation.
pub type ById = HashMap<i32, (String, Option<NaiveDateTime>)>;

/// The largest number of traits that are kept. The memory is cleared before it would exceed this number.
const MOST: usize = 65_536;

impl KnownTraits {
    /// The names of the traits of these ids, in their order, for a provider of this generation. `find` looks up
    /// all of them if one is unknown. A trait that was deleted after the ids were read may be left out.
    pub fn names(
        &self,
        generation: i32,
        ids: &[i32],
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

fn named(traits: &ById, generation: i32, ids: &[i32]) -> JoinedRows {
    let found = ids.iter().filter_map(|id| traits.get(id));
    JoinedRows::of_each(generation, found.map(|(name, changed_at)| (name.as_str(), *changed_at)))
}

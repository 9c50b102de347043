//! The names of resource classes and traits.

use std::collections::HashMap;
use std::hash::Hash;

/// The names of classes or traits: names by row id, and row ids by name.
#[derive(Clone, Debug)]
pub struct Names<I> {
    names: HashMap<I, String>,
    ids: HashMap<String, I>,
}

impl<I> Default for Names<I> {
    fn default() -> Self {
        Names { names: HashMap::new(), ids: HashMap::new() }
    }
}

impl<I: Copy + Eq + Hash> Names<I> {
    pub(super) fn new(rows: Vec<(I, String)>) -> Names<I> {
        let ids = rows.iter().map(|(id, name)| (name.clone(), *id)).collect();
        Names { names: rows.into_iter().collect(), ids }
    }

    /// Returns the name of a row id. Returns an empty text for an unknown id, which a row without a foreign key can
    /// have.
    pub fn name(&self, id: I) -> &str {
        self.names.get(&id).map_or("", String::as_str)
    }

    /// Returns the row id of a name.
    pub fn id(&self, name: &str) -> Option<I> {
        self.ids.get(name).copied()
    }

    /// Returns true if `rows` has exactly these names.
    pub fn are(&self, rows: &[(I, String)]) -> bool {
        rows.len() == self.names.len() && rows.iter().all(|(id, name)| self.names.get(id) == Some(name))
    }

    /// Returns the row ids of names. If some names are unknown, the error has the unknown names in order.
    pub fn all_ids<'a>(&self, names: &'a [String]) -> Result<Vec<I>, Vec<&'a str>> {
        let ids: Vec<I> = names.iter().filter_map(|name| self.id(name)).collect();
        if ids.len() == names.len() {
            return Ok(ids);
        }
        let unknown = names.iter().map(String::as_str).filter(|name| self.id(name).is_none());
        let mut unknown: Vec<&str> = unknown.collect();
        unknown.sort_unstable();
        unknown.dedup();
        Err(unknown)
    }

    /// Returns the row ids that have another name in `new`.
    pub(super) fn renamed(&self, new: &Names<I>) -> Vec<I> {
        let renamed =
            self.names.iter().filter(|(id, name)| new.names.get(id).is_some_and(|new| new != *name));
        renamed.map(|(id, _)| *id).collect()
    }
}

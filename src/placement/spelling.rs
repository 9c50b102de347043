//! The spellings that the database stores for names and uuids that a client spelled in another way.
//!
//! MariaDB's collation ignores case, accents and blanks at the end of a text. For example, `Node1` is equal
//! to `node1`. The picture (the in-memory copy of all providers) compares texts byte by byte.

use std::collections::HashMap;

use crate::db::DbConnection;
use crate::store::{aggregates, resource_providers};

use super::Result;

/// The texts of a request that the picture does not contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// The names of providers.
    pub names: Vec<String>,
    /// The uuids of providers.
    pub providers: Vec<String>,
    /// The uuids of aggregates.
    pub aggregates: Vec<String>,
}

/// The spellings that the database stores, by the spelling of the client. A text that is not in the database
/// has no entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The names of providers.
    pub names: HashMap<String, String>,
    /// The uuids of providers.
    pub providers: HashMap<String, String>,
    /// The uuids of aggregates.
    pub aggregates: HashMap<String, String>,
}

impl Unknown {
    /// Returns whether all three lists are empty.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.providers.is_empty() && self.aggregates.is_empty()
    }

    /// Looks up all texts in the database, and returns the spellings that the database stores.
    pub fn stored(&self, conn: &mut DbConnection) -> Result<Stored> {
        let mut names = HashMap::new();
        for name in &self.names {
            if let Some(stored) = resource_providers::stored_name(conn, name)? {
                names.insert(name.clone(), stored);
            }
        }
        let providers = by_given(&self.providers, |uuids| resource_providers::stored_uuids(conn, uuids))?;
        let aggregates = by_given(&self.aggregates, |uuids| aggregates::stored_uuids(conn, uuids))?;
        Ok(Stored { names, providers, aggregates })
    }
}

/// Looks up uuids, and maps each given uuid to the spelling that the database stores. The two spellings can differ
/// only in case.
fn by_given(
    given: &[String],
    find: impl FnOnce(&[&str]) -> diesel::QueryResult<Vec<String>>,
) -> Result<HashMap<String, String>> {
    let asked: Vec<&str> = given.iter().map(String::as_str).collect();
    let found = if asked.is_empty() { Vec::new() } else { find(&asked)? };
    let found: HashMap<String, String> =
        found.into_iter().map(|stored| (stored.to_ascii_lowercase(), stored)).collect();
    let stored = |given: &String| Some((given.clone(), found.get(&given.to_ascii_lowercase())?.clone()));
    Ok(given.iter().filter_map(stored).collect())
}

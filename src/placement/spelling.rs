//! The stored spellings of names and uuids that a client spelled otherwise.
//!
//! MariaDB takes two texts for the same that differ in case, in accents or in blanks at the end, as the
//! tables' collation has it. The picture of the fleet tells all of these apart.

use std::collections::HashMap;

use crate::db::DbConnection;
use crate::store::{aggregates, resource_providers};

use super::Result;

/// Texts that the picture does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// Names of providers.
    pub names: Vec<String>,
    /// Uuids of providers.
    pub providers: Vec<String>,
    /// Uuids of aggregates.
    pub aggregates: Vec<String>,
}

/// The stored spellings of texts, by the spelling that the client gave. A text that is not stored is left
/// out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Names of providers.
    pub names: HashMap<String, String>,
    /// Uuids of providers.
    pub providers: HashMap<String, String>,
    /// Uuids of aggregates.
    pub aggregates: HashMap<String, String>,
}

impl Unknown {
    /// Whether there are no such texts.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.providers.is_empty() && self.aggregates.is_empty()
    }

    /// The texts in the spelling of the database.
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

/// Asks for uuids, and finds out which given uuid each found one is. Uuids have no accents and no blanks.
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

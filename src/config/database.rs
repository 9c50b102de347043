//! The `[database]` table: where everything is kept.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Error, invalid};
use crate::db::Target;

/// The `[database]` table.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct DatabaseSettings {
    /// Where the database is: `sqlite:…`, `postgres://…` or `mysql://…`.
    pub url: String,
    /// How many connections are open at most.
    pub pool_size: u32,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        DatabaseSettings { url: "sqlite:allotment.db".to_owned(), pool_size: 16 }
    }
}

impl fmt::Debug for DatabaseSettings {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.url.split(':').next().unwrap_or_default();
        f.debug_struct("DatabaseSettings")
            .field("url", &format_args!("{scheme}:…"))
            .field("pool_size", &self.pool_size)
            .finish()
    }
}

impl DatabaseSettings {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), Error> {
        if let Err(problem) = self.url.parse::<Target>() {
            return invalid("database.url", problem);
        }
        if self.pool_size == 0 {
            return invalid("database.pool_size", "at least one connection is needed".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_not_shown() {
        let settings = DatabaseSettings { url: "postgres://u:hush@h/d".to_owned(), pool_size: 1 };
        assert!(!format!("{settings:?}").contains("hush"));
    }
}

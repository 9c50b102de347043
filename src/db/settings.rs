//! The `[database]` table: the database and its time limits.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::target::{DbTarget, Times};
use crate::setting::{Unusable, refuse};

/// The `[database]` table.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct DatabaseSettings {
    /// The URL of the database: `sqlite:…`, `postgres://…` or `mysql://…`.
    pub url: String,
    /// The largest number of open connections.
    pub pool_size: u32,
    /// The time within which a connection to a server must be made, in seconds.
    pub connect_seconds: u64,
    /// The time within which a server must answer a statement, in seconds. 0 sets no limit.
    pub statement_seconds: u64,
    /// The time of silence after which connections over a broken network are given up, in seconds.
    pub network_seconds: u64,
    /// Whether statements stay prepared on PostgreSQL. A pooler in transaction mode does not allow that.
    pub prepared_statements: bool,
    /// The time for which the service tries to reach the database when it starts, in seconds.
    pub start_seconds: u64,
    /// Whether the service brings the schema up to date when it starts.
    pub migrate_at_start: bool,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        let times = Times::default();
        DatabaseSettings {
            url: "sqlite:allotment.db".to_owned(),
            pool_size: 16,
            connect_seconds: times.connect.as_secs(),
            statement_seconds: times.statement.unwrap_or_default().as_secs(),
            network_seconds: times.network.as_secs(),
            prepared_statements: true,
            start_seconds: 100,
            migrate_at_start: true,
        }
    }
}

impl fmt::Debug for DatabaseSettings {
    /// Leaves out the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.url.split(':').next().unwrap_or_default();
        f.debug_struct("DatabaseSettings")
            .field("url", &format_args!("{scheme}:…"))
            .field("pool_size", &self.pool_size)
            .field("connect_seconds", &self.connect_seconds)
            .field("statement_seconds", &self.statement_seconds)
            .field("network_seconds", &self.network_seconds)
            .field("prepared_statements", &self.prepared_statements)
            .field("start_seconds", &self.start_seconds)
            .field("migrate_at_start", &self.migrate_at_start)
            .finish()
    }
}

/// The longest time that can be set: a day.
const LONGEST_SECONDS: u64 = 86_400;

impl DatabaseSettings {
    /// The address of the database, with its time limits.
    pub fn target(&self) -> Result<DbTarget, String> {
        let target: DbTarget = self.url.parse()?;
        let statement = Some(Duration::from_secs(self.statement_seconds)).filter(|limit| !limit.is_zero());
        let (connect, network) =
            (Duration::from_secs(self.connect_seconds), Duration::from_secs(self.network_seconds));
        let times = Times { connect, statement, network };
        Ok(DbTarget { times, keeps_sessions: self.prepared_statements, ..target })
    }

    /// Refuses values that are not allowed.
    pub fn check(&self) -> Result<(), Unusable> {
        for (key, least, seconds) in [
            ("database.connect_seconds", 1, self.connect_seconds),
            ("database.statement_seconds", 0, self.statement_seconds),
            ("database.network_seconds", 3, self.network_seconds),
            ("database.start_seconds", 0, self.start_seconds),
        ] {
            if !(least..=LONGEST_SECONDS).contains(&seconds) {
                return refuse(key, format!("must be between {least} and {LONGEST_SECONDS}"));
            }
        }
        if let Err(problem) = self.target() {
            return refuse("database.url", problem);
        }
        if self.pool_size == 0 {
            return refuse("database.pool_size", "at least one connection is needed");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_not_shown() {
        let settings =
            DatabaseSettings { url: "postgres://u:hush@h/d".to_owned(), ..DatabaseSettings::default() };
        assert!(!format!("{settings:?}").contains("hush"));
    }
}

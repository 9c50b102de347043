//! The settings of the table `[database]`: the URL of the database, the pool, and the time limits.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::target::{DbTarget, Kind, Times};
use crate::setting::{Unusable, refuse};

/// The means by which the service finds the writes of programs that are not replicas of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForeignWriters {
    /// At intervals, all providers are compared with the database.
    #[default]
    Sweep,
    /// Triggers on Placement's tables mark the rows that another program writes.
    Triggers,
}

/// The settings of the table `[database]`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct DatabaseSettings {
    /// The URL of the database: `sqlite:…`, `postgres://…` or `mysql://…`.
    pub url: String,
    /// The largest number of open connections of the pool.
    pub pool_size: u32,
    /// The number of connections that may be opened beyond `pool_size` while all others are in use.
    pub max_overflow: u32,
    /// The longest time for which a request waits for a connection, in seconds.
    pub pool_timeout_seconds: u64,
    /// The age at which an idle connection is replaced, in seconds. 0 means no limit.
    pub connection_recycle_seconds: u64,
    /// The time limit for opening a connection to a server, in seconds.
    pub connect_seconds: u64,
    /// The time limit for the answer to a statement, in seconds. 0 means no limit.
    pub statement_seconds: u64,
    /// The time after which a connection is ended if the server's host acknowledges no TCP packet, in
    /// seconds.
    pub network_seconds: u64,
    /// True if statements stay prepared on PostgreSQL. Must be false behind a pooler in transaction mode, such as
    /// pgbouncer.
    pub prepared_statements: bool,
    /// The time for which the starting service tries to reach the database, in seconds.
    pub start_seconds: u64,
    /// The greatest age of the picture (the copy of all providers in memory) that a search may use while other
    /// replicas run, in seconds. If the value is 0, each search first asks the database for the changes by other
    /// replicas.
    pub max_staleness_seconds: f64,
    /// The means by which the writes of other programs are found, such as those of Placement.
    pub foreign_writers: ForeignWriters,
    /// True if the starting service brings the schema up to date.
    pub migrate_at_start: bool,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        let times = Times::default();
        DatabaseSettings {
            url: "sqlite:allotment.db".to_owned(),
            pool_size: 16,
            max_overflow: 0,
            pool_timeout_seconds: 20,
            connection_recycle_seconds: 1_800,
            connect_seconds: times.connect.as_secs(),
            statement_seconds: times.statement.unwrap_or_default().as_secs(),
            network_seconds: times.network.as_secs(),
            prepared_statements: true,
            start_seconds: 100,
            max_staleness_seconds: 0.0,
            foreign_writers: ForeignWriters::Sweep,
            migrate_at_start: true,
        }
    }
}

impl fmt::Debug for DatabaseSettings {
    /// Leaves out the URL, which may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.url.split(':').next().unwrap_or_default();
        f.debug_struct("DatabaseSettings")
            .field("url", &format_args!("{scheme}:…"))
            .field("pool_size", &self.pool_size)
            .field("max_overflow", &self.max_overflow)
            .field("pool_timeout_seconds", &self.pool_timeout_seconds)
            .field("connection_recycle_seconds", &self.connection_recycle_seconds)
            .field("connect_seconds", &self.connect_seconds)
            .field("statement_seconds", &self.statement_seconds)
            .field("network_seconds", &self.network_seconds)
            .field("prepared_statements", &self.prepared_statements)
            .field("start_seconds", &self.start_seconds)
            .field("max_staleness_seconds", &self.max_staleness_seconds)
            .field("foreign_writers", &self.foreign_writers)
            .field("migrate_at_start", &self.migrate_at_start)
            .finish()
    }
}

/// The largest allowed number of seconds, which is a day.
const LONGEST_SECONDS: u64 = 86_400;

/// The largest allowed number of connections. A server of a database allows fewer.
const MOST_CONNECTIONS: u64 = 100_000;

/// The largest allowed value of `max_staleness_seconds`.
const MOST_STALENESS: f64 = 60.0;

impl DatabaseSettings {
    /// Returns the database of the URL, with the time limits. The error is a text for the operator.
    pub fn target(&self) -> Result<DbTarget, String> {
        let target: DbTarget = self.url.parse()?;
        let statement = Some(Duration::from_secs(self.statement_seconds)).filter(|limit| !limit.is_zero());
        let (connect, network) =
            (Duration::from_secs(self.connect_seconds), Duration::from_secs(self.network_seconds));
        let times = Times { connect, statement, network };
        Ok(DbTarget { times, keeps_sessions: self.prepared_statements, ..target })
    }

    /// Returns the largest number of connections of the pool.
    #[must_use]
    pub fn most_connections(&self) -> u32 {
        self.pool_size.saturating_add(self.max_overflow)
    }

    /// Returns an error with the key of the first value that is not allowed.
    pub fn check(&self) -> Result<(), Unusable> {
        for (key, least, seconds) in [
            ("database.pool_timeout_seconds", 1, self.pool_timeout_seconds),
            ("database.connection_recycle_seconds", 0, self.connection_recycle_seconds),
            ("database.connect_seconds", 1, self.connect_seconds),
            ("database.statement_seconds", 0, self.statement_seconds),
            ("database.network_seconds", 3, self.network_seconds),
            ("database.start_seconds", 0, self.start_seconds),
        ] {
            if !(least..=LONGEST_SECONDS).contains(&seconds) {
                return refuse(key, format!("must be between {least} and {LONGEST_SECONDS}"));
            }
        }
        if !(0.0..=MOST_STALENESS).contains(&self.max_staleness_seconds) {
            return refuse(
                "database.max_staleness_seconds",
                format!("must be between 0 and {MOST_STALENESS}"),
            );
        }
        match self.target() {
            Err(problem) => return refuse("database.url", problem),
            Ok(target) if target.kind == Kind::Sqlite && self.foreign_writers == ForeignWriters::Triggers => {
                let problem =
                    "SQLite has no triggers for other writers, since its file belongs to one service";
                return refuse("database.foreign_writers", problem);
            }
            Ok(_) => {}
        }
        if self.pool_size == 0 {
            return refuse("database.pool_size", "at least one connection is needed");
        }
        if u64::from(self.pool_size) + u64::from(self.max_overflow) > MOST_CONNECTIONS {
            let problem = format!("is more than {MOST_CONNECTIONS} together with database.pool_size");
            return refuse("database.max_overflow", problem);
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

//! One connection type for the three databases.

use diesel::connection::{CacheSize, SimpleConnection};
use diesel::r2d2::R2D2Connection;
use diesel::{Connection, QueryResult};

use super::target::Kind;

/// The connection type, and the further items that its derive macro generates.
mod multi {
    #![allow(missing_docs, reason = "the derive writes items that carry no documentation")]
    #![expect(clippy::disallowed_methods, reason = "the derive hands transactions on to each database")]

    /// A connection to the database of the service.
    #[derive(diesel::MultiConnection)]
    pub enum DbConnection {
        /// PostgreSQL, through libpq.
        #[cfg(feature = "postgres")]
        Postgres(diesel::PgConnection),
        /// MariaDB, through libmariadb.
        #[cfg(feature = "mysql")]
        Mysql(diesel::MysqlConnection),
        /// SQLite, embedded.
        #[cfg(feature = "sqlite")]
        Sqlite(diesel::SqliteConnection),
    }
}

pub use multi::{DbConnection, MultiBackend};

/// Evaluates an expression once for each database, with the connection type of that database. Needed for queries that
/// diesel's [`DbConnection`] does not support, for example inserts of several rows.
macro_rules! on_backend {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            #[cfg(feature = "postgres")]
            $crate::db::connection::DbConnection::Postgres($c) => $body,
            #[cfg(feature = "mysql")]
            $crate::db::connection::DbConnection::Mysql($c) => $body,
            #[cfg(feature = "sqlite")]
            $crate::db::connection::DbConnection::Sqlite($c) => $body,
        }
    };
}
pub(crate) use on_backend;

impl DbConnection {
    /// Returns the kind of the database.
    pub fn kind(&self) -> Kind {
        match self {
            #[cfg(feature = "postgres")]
            DbConnection::Postgres(_) => Kind::Postgres,
            #[cfg(feature = "mysql")]
            DbConnection::Mysql(_) => Kind::Mysql,
            #[cfg(feature = "sqlite")]
            DbConnection::Sqlite(_) => Kind::Sqlite,
        }
    }

    /// Returns the number that was stored, given the number that was read from a FLOAT column.
    ///
    /// Placement's FLOAT columns on MariaDB have 4 bytes (single precision). For example, a stored 16.1 is read as
    /// 16.100000381. This method rounds to six digits, and returns 16.1. The other databases need no rounding.
    pub fn exact_float(&self, stored: f64) -> f64 {
        match self.kind() {
            Kind::Mysql => format!("{stored:.5e}").parse().unwrap_or(stored),
            Kind::Postgres | Kind::Sqlite => stored,
        }
    }
}

/// Asks the server for a sign of life. A node that does not take part in its Galera cluster answers with an error.
pub fn ping(conn: &mut DbConnection) -> QueryResult<()> {
    match conn.kind() {
        // Such a node would answer SELECT 1 without an error.
        Kind::Mysql => conn.batch_execute("DO 1"),
        Kind::Postgres | Kind::Sqlite => conn.batch_execute("SELECT 1"),
    }
}

/// Closes the prepared statements of a connection to MariaDB. Called after an error of a statement.
///
/// If an error ends the rows of a statement, libmariadb believes that more rows follow. When such a statement is
/// executed again, libmariadb first reads the rest of the old rows, and waits until the server ends the connection.
pub fn close_statements(conn: &mut DbConnection) {
    if conn.kind() == Kind::Mysql {
        conn.set_prepared_statement_cache_size(CacheSize::Disabled);
        conn.set_prepared_statement_cache_size(CacheSize::Unbounded);
    }
}

/// Returns true if the connection can't be used any more.
pub fn is_broken(conn: &mut DbConnection) -> bool {
    on_backend!(conn, c => c.is_broken())
}

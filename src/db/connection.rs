//! One connection type over the three databases.

use diesel::r2d2::R2D2Connection;

use super::target::Kind;

/// The multi-database connection, alone here because its derive emits more names beside it.
mod multi {
    #![allow(missing_docs, reason = "the derive writes items that carry no documentation")]
    #![expect(clippy::disallowed_methods, reason = "the derive hands transactions on to each database")]

    /// A connection to whichever database the service runs on.
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

/// The same expression typed once per database, for what the common subset lacks.
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
    /// The database at the other end.
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

    /// A float as it was written, from one as it was read.
    ///
    /// MariaDB's FLOAT columns, which are Placement's, hold 4 bytes and show six digits: 16.1 is
    /// read as 16.100000381. The others hold what was written.
    pub fn exact_float(&self, stored: f64) -> f64 {
        match self.kind() {
            Kind::Mysql => format!("{stored:.5e}").parse().unwrap_or(stored),
            Kind::Postgres | Kind::Sqlite => stored,
        }
    }
}

/// Whether a connection is of no more use.
pub fn is_broken(conn: &mut DbConnection) -> bool {
    on_backend!(conn, c => c.is_broken())
}

//! One connection type over the three databases, and how each connection is set up.

use std::str::FromStr;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::R2D2Connection;
use diesel::{Connection, ConnectionError, ConnectionResult, QueryResult};

use super::Tx;

/// The multi-database connection, alone here because its derive emits more names beside it.
mod multi {
    #![allow(missing_docs, reason = "the derive writes items that carry no documentation")]

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
            $crate::db::DbConnection::Postgres($c) => $body,
            #[cfg(feature = "mysql")]
            $crate::db::DbConnection::Mysql($c) => $body,
            #[cfg(feature = "sqlite")]
            $crate::db::DbConnection::Sqlite($c) => $body,
        }
    };
}
pub(crate) use on_backend;

impl DbConnection {
    /// A float as it was written, from one as it was read.
    ///
    /// MariaDB's FLOAT columns, which are Placement's, hold 4 bytes and show six digits: 16.1 is
    /// read as 16.100000381. The others hold what was written.
    pub fn exact_float(&self, stored: f64) -> f64 {
        match self {
            #[cfg(feature = "mysql")]
            DbConnection::Mysql(_) => format!("{stored:.5e}").parse().unwrap_or(stored),
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            _ => stored,
        }
    }
}

/// Which database a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An embedded SQLite file.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
    /// A MariaDB server.
    Mysql,
}

/// Where the database is: its kind, and the text that its client library takes.
#[derive(Clone)]
pub struct Target {
    /// Which database it is.
    pub kind: Kind,
    /// A path for SQLite, a URL for the others.
    pub address: String,
}

impl FromStr for Target {
    type Err = String;

    /// Reads `sqlite:…`, `postgres://…` and `mysql://…`, also in SQLAlchemy's spelling with a
    /// driver (`mysql+pymysql://…`). The error says what is possible and does not repeat the URL,
    /// which may hold a password.
    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = url.split_once(':').ok_or("the database URL has no scheme")?;
        let family = scheme.split('+').next().unwrap_or(scheme);
        let (kind, address) = match family {
            "sqlite" => (Kind::Sqlite, rest.strip_prefix("//").unwrap_or(rest).to_owned()),
            "postgres" | "postgresql" => (Kind::Postgres, format!("postgres:{rest}")),
            "mysql" | "mariadb" => (Kind::Mysql, format!("mysql:{}", without_charset(rest))),
            other => return Err(format!("unknown database scheme {other:?}: use sqlite, postgres or mysql")),
        };
        if address.is_empty() {
            return Err("the SQLite URL names no file".to_owned());
        }
        if !kind.compiled_in() {
            return Err(format!("this binary was built without the {} feature", kind.feature()));
        }
        Ok(Target { kind, address })
    }
}

impl Kind {
    /// The cargo feature that brings the database.
    pub fn feature(self) -> &'static str {
        match self {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
            Kind::Mysql => "mysql",
        }
    }

    fn compiled_in(self) -> bool {
        match self {
            Kind::Sqlite => cfg!(feature = "sqlite"),
            Kind::Postgres => cfg!(feature = "postgres"),
            Kind::Mysql => cfg!(feature = "mysql"),
        }
    }
}

/// Drops `charset=`, which SQLAlchemy needs and the client library refuses: it is always utf8mb4.
fn without_charset(rest: &str) -> String {
    let Some((base, query)) = rest.split_once('?') else {
        return rest.to_owned();
    };
    let kept: Vec<_> = query.split('&').filter(|p| !p.starts_with("charset=")).collect();
    if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }
}

/// Opens a connection and sets it up.
pub fn establish(target: &Target) -> ConnectionResult<DbConnection> {
    let mut conn = match target.kind {
        #[cfg(feature = "sqlite")]
        Kind::Sqlite => DbConnection::Sqlite(diesel::SqliteConnection::establish(&target.address)?),
        #[cfg(feature = "postgres")]
        Kind::Postgres => DbConnection::Postgres(diesel::PgConnection::establish(&target.address)?),
        #[cfg(feature = "mysql")]
        Kind::Mysql => DbConnection::Mysql(diesel::MysqlConnection::establish(&target.address)?),
        #[cfg(not(all(feature = "sqlite", feature = "postgres", feature = "mysql")))]
        other => {
            let lacking = format!("built without the {} feature", other.feature());
            return Err(ConnectionError::BadConnection(lacking));
        }
    };
    prepare(&mut conn, target.kind).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// How often the set-up of a connection is tried.
const SET_UP_TRIES: u32 = 500;
/// The pause between two tries.
const SET_UP_PAUSE: Duration = Duration::from_millis(10);

/// Sets a new connection up. SQLite does not wait while another one makes the file's journal, as
/// when replicas start together, but fails at once; so this is tried again.
fn prepare(conn: &mut DbConnection, kind: Kind) -> QueryResult<()> {
    for _ in 1..SET_UP_TRIES {
        match conn.batch_execute(set_up(kind)) {
            Err(error) if kind == Kind::Sqlite && super::error::is_conflict_message(&error.to_string()) => {
                std::thread::sleep(SET_UP_PAUSE);
            }
            outcome => return outcome,
        }
    }
    conn.batch_execute(set_up(kind))
}

/// What each new connection is told first.
fn set_up(kind: Kind) -> &'static str {
    match kind {
        // busy_timeout comes first: changing the journal mode may itself have to wait.
        Kind::Sqlite => {
            "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON; PRAGMA cache_size = -16000;"
        }
        // Each question is one of a few that are asked by keys over and over: a plan by index is
        // right for all of them, however small the tables were when it was made.
        Kind::Postgres => {
            "SET TIME ZONE 'UTC'; \
             SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off; \
             SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;"
        }
        // The id of the resource class VCPU is 0, which MariaDB would take as a wish for a new id.
        Kind::Mysql => {
            "SET NAMES utf8mb4; SET time_zone = '+00:00'; \
             SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
             SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO';"
        }
    }
}

/// Whether a connection is of no more use.
pub fn is_broken(conn: &mut DbConnection) -> bool {
    on_backend!(conn, c => c.is_broken())
}

/// Makes connections for the pool.
pub struct Manager {
    target: Target,
}

impl Manager {
    /// A manager of connections to `target`.
    pub fn new(target: Target) -> Self {
        Manager { target }
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = Tx;
    type Error = super::Error;

    fn connect(&self) -> Result<Tx, super::Error> {
        Ok(Tx::new(establish(&self.target)?))
    }

    fn is_valid(&self, conn: &mut Tx) -> Result<(), super::Error> {
        Ok(conn.batch_execute("SELECT 1")?)
    }

    /// Asked when a connection returns to the pool.
    fn has_broken(&self, conn: &mut Tx) -> bool {
        conn.rest();
        std::thread::panicking() || conn.is_lost() || is_broken(conn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<(Kind, String), String> {
        url.parse::<Target>().map(|t| (t.kind, t.address))
    }

    #[test]
    fn urls_name_the_database() {
        assert_eq!(parse("sqlite:///abs/a.db"), Ok((Kind::Sqlite, "/abs/a.db".into())));
        assert_eq!(parse("sqlite:a.db"), Ok((Kind::Sqlite, "a.db".into())));
    }

    #[cfg(all(feature = "postgres", feature = "mysql"))]
    #[test]
    fn sqlalchemy_spellings_are_understood() {
        assert_eq!(parse("postgresql+psycopg2://u:p@h/d"), Ok((Kind::Postgres, "postgres://u:p@h/d".into())));
        assert_eq!(parse("mysql+pymysql://u@h/d?charset=utf8"), Ok((Kind::Mysql, "mysql://u@h/d".into())));
    }

    #[test]
    fn several_may_open_a_new_file_at_once() {
        let directory = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let path = directory.path().join(format!("{round}.db"));
            let target: Target = format!("sqlite:{}", path.display()).parse().unwrap();
            let together = std::sync::Barrier::new(8);
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        together.wait();
                        establish(&target).map(drop).unwrap();
                    });
                }
            });
        }
    }

    #[test]
    fn bad_urls_are_refused_without_repeating_them() {
        for url in ["", "allotment.db", "sqlite:", "sqlite://", "oracle://scott:tiger@h/d"] {
            let error = parse(url).expect_err(url);
            assert!(!error.contains("tiger"), "{error}");
        }
    }
}

//! One connection type over the three databases, and how each connection is set up.

use std::time::Duration;

#[cfg(feature = "sqlite")]
use diesel::QueryResult;
#[cfg(feature = "mysql")]
use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use diesel::connection::{CacheSize, InstrumentationEvent};
use diesel::r2d2::R2D2Connection;
use diesel::{Connection, ConnectionError, ConnectionResult};

#[cfg(feature = "postgres")]
use super::postgres_url;
use super::target::{Kind, Target};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use super::watch;

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

/// Opens a connection and sets it up.
pub fn establish(target: &Target) -> ConnectionResult<DbConnection> {
    match target.kind {
        #[cfg(feature = "sqlite")]
        Kind::Sqlite => {
            let mut conn = DbConnection::Sqlite(diesel::SqliteConnection::establish(&target.address)?);
            set_up_file(&mut conn).map_err(ConnectionError::CouldntSetupConfiguration)?;
            Ok(conn)
        }
        #[cfg(any(feature = "postgres", feature = "mysql"))]
        _ => establish_to_server(target),
        #[cfg(not(any(feature = "postgres", feature = "mysql")))]
        other => Err(lacking(other)),
    }
}

fn lacking(kind: Kind) -> ConnectionError {
    ConnectionError::BadConnection(format!("built without the {} feature", kind.feature()))
}

/// Opens a connection to a server, which waits for answers no longer than the target's times allow.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn establish_to_server(target: &Target) -> ConnectionResult<DbConnection> {
    let times = target.times;
    let attempt = watch::Attempt::begin(&target.ports, times).ok_or_else(|| {
        let problem = format!("no other connection could be made in {:?}", times.connect);
        ConnectionError::BadConnection(problem)
    })?;
    let mut conn = match target.kind {
        #[cfg(feature = "postgres")]
        Kind::Postgres => {
            DbConnection::Postgres(diesel::PgConnection::establish(&postgres_url::address(target))?)
        }
        #[cfg(feature = "mysql")]
        Kind::Mysql => DbConnection::Mysql(diesel::MysqlConnection::establish(&target.address)?),
        other => return Err(lacking(other)),
    };
    match attempt.socket(times) {
        Some(socket) => conn.set_instrumentation(move |event: InstrumentationEvent<'_>| socket.note(&event)),
        None => log::warn!(
            "the socket of a database connection is not found: an answer that never comes is waited for"
        ),
    }
    #[cfg(feature = "mysql")]
    if target.needs_tls {
        refuse_plain_text(&mut conn)?;
    }
    if target.kind == Kind::Postgres && !target.keeps_sessions {
        // Each statement is planned anew and sent as a whole. A setting of the session would also hold for
        // the client that gets the session next.
        conn.set_prepared_statement_cache_size(CacheSize::Disabled);
        return Ok(conn);
    }
    let set_up = set_up(target.kind, times.statement);
    conn.batch_execute(&set_up).map_err(ConnectionError::CouldntSetupConfiguration)?;
    drop(attempt);
    Ok(conn)
}

/// The name and value of a status variable.
#[cfg(feature = "mysql")]
#[derive(diesel::QueryableByName)]
struct Status {
    #[diesel(sql_type = diesel::sql_types::Text, column_name = "Value")]
    value: String,
}

/// Refuses a connection on which the server uses no TLS. The library itself refuses that only where it is
/// to verify the certificate.
#[cfg(feature = "mysql")]
fn refuse_plain_text(conn: &mut DbConnection) -> ConnectionResult<()> {
    let status = diesel::sql_query("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
    let status: Vec<Status> = match conn {
        DbConnection::Mysql(conn) => status.load(conn),
        #[allow(unreachable_patterns, reason = "which databases are left depends on the features")]
        _ => return Ok(()),
    }
    .map_err(ConnectionError::CouldntSetupConfiguration)?;
    if status.iter().all(|status| status.value.is_empty()) {
        let problem = "the database URL asks for TLS, and the server offers none";
        return Err(ConnectionError::BadConnection(problem.to_owned()));
    }
    Ok(())
}

/// How often the set-up of a connection to a file is tried.
#[cfg(feature = "sqlite")]
const SET_UP_TRIES: u32 = 500;
/// The pause between two tries.
#[cfg(feature = "sqlite")]
const SET_UP_PAUSE: Duration = Duration::from_millis(10);

/// The statements that set up each new connection to a file. busy_timeout comes first: changing the journal
/// mode may itself have to wait.
#[cfg(feature = "sqlite")]
const FILE_SET_UP: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                           PRAGMA foreign_keys = ON; PRAGMA cache_size = -16000;";

/// Sets a new connection to a file up. If another one makes the file's journal, as when several start
/// together, SQLite does not wait but fails at once; so the set-up is tried again.
#[cfg(feature = "sqlite")]
fn set_up_file(conn: &mut DbConnection) -> QueryResult<()> {
    for _ in 1..SET_UP_TRIES {
        match conn.batch_execute(FILE_SET_UP) {
            Err(error) if super::error::is_conflict_message(&error.to_string()) => {
                std::thread::sleep(SET_UP_PAUSE);
            }
            outcome => return outcome,
        }
    }
    conn.batch_execute(FILE_SET_UP)
}

/// The time after which a server gives up a transaction that sends no statement. A service whose host is
/// suspended, or cut off, else keeps the rows that the transaction has locked from all other services. A
/// transaction of a service that runs sends its next statement at once.
#[cfg(any(feature = "postgres", feature = "mysql"))]
const IDLE_TRANSACTION: Duration = Duration::from_secs(10);

/// The statements that set up each new connection to a server.
///
/// The messages of the server are to be in English, since some errors have no other mark (`super::error`).
/// PostgreSQL allows that to superusers, and to users to whom it was granted.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn set_up(kind: Kind, statement: Option<Duration>) -> String {
    let limit = statement.unwrap_or_default();
    match kind {
        // Each question is one of a few that are asked by keys over and over: a plan by index is
        // right for all of them, however small the tables were when it was made.
        Kind::Postgres => format!(
            "DO $$ BEGIN PERFORM set_config('lc_messages', 'C', false); \
             EXCEPTION WHEN insufficient_privilege THEN NULL; END $$; \
             SET TIME ZONE 'UTC'; SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
             SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off; \
             SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;",
            limit.as_millis(),
            IDLE_TRANSACTION.as_millis()
        ),
        // The id of the resource class VCPU is 0, which MariaDB would take as a wish for a new id.
        // A statement that waits for a lock is ended by its own time, since the end of the wait alone would
        // have it run again. The remark is for MariaDB only: MySQL has no such variable.
        _ => format!(
            "SET NAMES utf8mb4; SET lc_messages = 'en_US'; SET time_zone = '+00:00'; \
             SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
             SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', \
             innodb_lock_wait_timeout = {} /*M! , max_statement_time = {}, idle_transaction_timeout = {} */",
            if limit.is_zero() { NO_LIMIT } else { limit.as_secs() + 5 },
            limit.as_secs(),
            IDLE_TRANSACTION.as_secs()
        ),
    }
}

/// How many seconds MariaDB waits for a lock where there is no limit to it.
#[cfg(any(feature = "postgres", feature = "mysql"))]
const NO_LIMIT: u64 = 1_000_000;

/// Whether a connection is of no more use.
pub fn is_broken(conn: &mut DbConnection) -> bool {
    on_backend!(conn, c => c.is_broken())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

//! Connections to servers: PostgreSQL through libpq, and MariaDB through libmariadb.

use std::time::Duration;

use diesel::connection::{CacheSize, InstrumentationEvent, SimpleConnection};
use diesel::{Connection, ConnectionError, ConnectionResult, RunQueryDsl};

use super::connection::DbConnection;
#[cfg(feature = "postgres")]
use super::postgres_url;
use super::target::{DbTarget, Kind, lacking};
use super::watch;

/// Opens a connection to a server, which waits for answers no longer than the target's times allow.
pub fn establish(target: &DbTarget) -> ConnectionResult<DbConnection> {
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
#[derive(diesel::QueryableByName)]
struct Status {
    #[diesel(sql_type = diesel::sql_types::Text, column_name = "Value")]
    value: String,
}

/// Refuses a connection to MariaDB on which the server uses no TLS. The library itself refuses that only where it is
/// to verify the certificate.
fn refuse_plain_text(conn: &mut DbConnection) -> ConnectionResult<()> {
    let status = diesel::sql_query("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
    let status: Vec<Status> = status.load(conn).map_err(ConnectionError::CouldntSetupConfiguration)?;
    if status.iter().all(|status| status.value.is_empty()) {
        let problem = "the database URL asks for TLS, and the server offers none";
        return Err(ConnectionError::BadConnection(problem.to_owned()));
    }
    Ok(())
}

/// The time after which a server gives up a transaction that sends no statement. Without it, a service whose host
/// is suspended, or cut off, keeps the locked rows of the transaction from all other services. A transaction of
/// a service that runs sends its next statement at once.
const IDLE_TRANSACTION: Duration = Duration::from_secs(10);

/// The statements that set up each new connection to a server.
///
/// The messages of the server are to be in English, since some errors have no other mark (`super::error`).
/// PostgreSQL allows that to superusers, and to users to whom it was granted.
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
const NO_LIMIT: u64 = 1_000_000;

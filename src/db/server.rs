//! Opens connections to servers: PostgreSQL through libpq, and MariaDB through libmariadb.

use std::time::Duration;

use diesel::connection::{CacheSize, InstrumentationEvent, SimpleConnection};
use diesel::{Connection, ConnectionError, ConnectionResult, RunQueryDsl};

use super::connection::DbConnection;
#[cfg(feature = "postgres")]
use super::postgres_url;
use super::target::{DbTarget, Kind, lacking};
use super::watch;

/// Opens a connection to a server and sets it up. The connection ends if the server does not answer within the times
/// of `target`.
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
        // A pooler of connections, such as pgbouncer, may run each transaction in another session. So no statement
        // stays prepared, and no setting of the session is changed. Another client of the pooler could get the
        // session with the changed setting.
        conn.set_prepared_statement_cache_size(CacheSize::Disabled);
        return Ok(conn);
    }
    let set_up = set_up(target.kind, times.statement);
    conn.batch_execute(&set_up).map_err(ConnectionError::CouldntSetupConfiguration)?;
    drop(attempt);
    Ok(conn)
}

/// The value of a status variable.
#[derive(diesel::QueryableByName)]
struct Status {
    #[diesel(sql_type = diesel::sql_types::Text, column_name = "Value")]
    value: String,
}

/// Returns an error if a connection to MariaDB does not use TLS. The client library refuses such a connection only if
/// the library must also verify the server's certificate.
fn refuse_plain_text(conn: &mut DbConnection) -> ConnectionResult<()> {
    let status = diesel::sql_query("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
    let status: Vec<Status> = status.load(conn).map_err(ConnectionError::CouldntSetupConfiguration)?;
    if status.iter().all(|status| status.value.is_empty()) {
        let problem = "the database URL asks for TLS, and the server offers none";
        return Err(ConnectionError::BadConnection(problem.to_owned()));
    }
    Ok(())
}

/// The time after which the server ends a transaction that sends no statement. Without this limit, a suspended or
/// disconnected service would block the locked rows for all other services. A running service sends the next
/// statement of a transaction at once.
const IDLE_TRANSACTION: Duration = Duration::from_secs(10);

/// Returns the statements that set up a new connection to a server.
///
/// Error messages must be in English, since some errors are recognised by their message only (see
/// `super::error`). On PostgreSQL, a user needs a privilege to change the language of messages. If the user
/// lacks the privilege, the messages keep the server's language.
fn set_up(kind: Kind, statement: Option<Duration>) -> String {
    let limit = statement.unwrap_or_default();
    match kind {
        // All queries find rows by keys. So a plan that uses an index is right for each query, even if the tables
        // were small when the plan was made.
        Kind::Postgres => format!(
            "DO $$ BEGIN PERFORM set_config('lc_messages', 'C', false); \
             EXCEPTION WHEN insufficient_privilege THEN NULL; END $$; \
             SET TIME ZONE 'UTC'; SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
             SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off; \
             SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;",
            limit.as_millis(),
            IDLE_TRANSACTION.as_millis()
        ),
        // NO_AUTO_VALUE_ON_ZERO: the resource class VCPU has the id 0, which MariaDB would otherwise replace by a new
        // id.
        //
        // innodb_lock_wait_timeout: this limit is 5 seconds longer than the time limit for a statement. So a
        // statement that waits too long for a lock exceeds the time limit for a statement, and its request
        // fails. If the lock wait timeout came first, the transaction would run again.
        //
        // The variables in `/*M! … */` are set only on MariaDB, because MySQL lacks these variables.
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

/// The lock wait limit of MariaDB in seconds, if statements have no time limit.
const NO_LIMIT: u64 = 1_000_000;

//! Opens connections to servers: PostgreSQL through libpq, and MariaDB through libmariadb.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::{CacheSize, InstrumentationEvent, SimpleConnection};
use diesel::{Connection, ConnectionError, ConnectionResult, RunQueryDsl};

use super::connection::DbConnection;
use super::hosts::{Fault, Host};
#[cfg(feature = "postgres")]
use super::postgres_url;
use super::sql_log;
use super::target::{DbTarget, Kind, lacking};
use super::watch::{self, Socket};

/// The shortest time that a host gets to answer, if the look-up of names has taken all the time for connecting.
const LEAST: Duration = Duration::from_millis(500);

/// Opens a connection to the first host of a server that can be used, and sets the connection up. A host gets an equal
/// part of the time that is left for connecting.
pub fn establish(target: &DbTarget) -> ConnectionResult<DbConnection> {
    establish_watched(target).map(|(conn, _)| conn)
}

/// Opens a connection as [`establish`] does. Also returns the connection's socket, or None if the socket is not found.
pub fn establish_watched(target: &DbTarget) -> ConnectionResult<(DbConnection, Option<Arc<Socket>>)> {
    let connect = target.times.connect;
    let attempt = watch::Attempt::begin(connect).ok_or_else(|| {
        ConnectionError::BadConnection(format!("no other connection could be made in {connect:?}"))
    })?;
    let begun = Instant::now();
    let order = target.hosts.in_order(begun);
    let mut problems = Vec::new();
    for (tried, at) in order.iter().enumerate() {
        let left = connect.saturating_sub(begun.elapsed());
        let untried = u32::try_from(order.len() - tried).unwrap_or(u32::MAX);
        let limit = (left / untried).max(LEAST);
        match connect_to(target, &target.hosts.all()[*at], &attempt, limit) {
            Ok(found) => {
                target.hosts.succeed(*at);
                return Ok(found);
            }
            Err(Unusable { fault, error }) => {
                target.hosts.fail(*at, fault, &error, Instant::now());
                problems.push((&target.hosts.all()[*at].name, error));
            }
        }
    }
    Err(joined(problems))
}

/// A host that can't be used, and the reason.
struct Unusable {
    fault: Fault,
    error: ConnectionError,
}

impl From<ConnectionError> for Unusable {
    fn from(error: ConnectionError) -> Self {
        Unusable { fault: Fault::Other, error }
    }
}

/// Returns the errors of all hosts as one error.
fn joined(mut problems: Vec<(&String, ConnectionError)>) -> ConnectionError {
    match problems.pop() {
        Some((_, error)) if problems.is_empty() => error,
        Some(last) => {
            problems.push(last);
            let texts: Vec<_> = problems.iter().map(|(name, error)| format!("{name}: {error}")).collect();
            ConnectionError::BadConnection(texts.join("; "))
        }
        None => ConnectionError::BadConnection("the database URL names no host".to_owned()),
    }
}

/// Opens a connection to a host and sets it up. The connection ends if the host does not answer within `limit`, or
/// later within the times of `target`.
fn connect_to(
    target: &DbTarget,
    host: &Host,
    attempt: &watch::Attempt,
    limit: Duration,
) -> Result<(DbConnection, Option<Arc<Socket>>), Unusable> {
    let times = target.times;
    attempt.aim(&host.ports, limit);
    let mut conn = match target.kind {
        #[cfg(feature = "postgres")]
        Kind::Postgres => {
            let address = postgres_url::with_limit(&host.address, limit);
            DbConnection::Postgres(diesel::PgConnection::establish(&address)?)
        }
        #[cfg(feature = "mysql")]
        Kind::Mysql => DbConnection::Mysql(diesel::MysqlConnection::establish(&host.address)?),
        other => return Err(lacking(other).into()),
    };
    let socket = attempt.socket(times);
    match socket.clone() {
        Some(socket) => conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            socket.note(&event);
            sql_log::note(&event);
        }),
        None => {
            conn.set_instrumentation(|event: InstrumentationEvent<'_>| sql_log::note(&event));
            log::warn!(
                "the socket of a database connection is not found: an answer that never comes is waited for"
            );
        }
    }
    if target.needs_tls {
        refuse_plain_text(&mut conn)?;
    }
    if target.kind == Kind::Postgres && !target.keeps_sessions {
        // A pooler of connections, such as pgbouncer, may run each transaction in another session. So no statement
        // stays prepared, and no setting of the session is changed. Another client of the pooler could get the
        // session with the changed setting.
        conn.set_prepared_statement_cache_size(CacheSize::Disabled);
        return Ok((conn, socket));
    }
    let mut set_up = set_up(target.kind, times.statement);
    if target.kind == Kind::Mysql && look_at_node(&mut conn, target.hosts.are_several())? == Node::OfCluster {
        set_up.push_str(CAUSAL_READS);
    }
    conn.batch_execute(&set_up).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok((conn, socket))
}

/// The kind of a MariaDB server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    /// A server of its own.
    Alone,
    /// A node of a Galera cluster.
    OfCluster,
}

/// A variable of MariaDB, or a value of its status.
#[derive(diesel::QueryableByName)]
struct Variable {
    #[diesel(sql_type = diesel::sql_types::Text, column_name = "Variable_name")]
    name: String,
    #[diesel(sql_type = diesel::sql_types::Text, column_name = "Value")]
    value: String,
}

/// Returns an error for a node that does not take part in its Galera cluster. Such a node accepts connections, and
/// refuses statements. If the URL names several hosts, returns an error for a server that takes no writes, too.
fn look_at_node(conn: &mut DbConnection, has_others: bool) -> Result<Node, Unusable> {
    let mut look = |sql: &str| -> ConnectionResult<Vec<Variable>> {
        diesel::sql_query(sql).load(conn).map_err(ConnectionError::CouldntSetupConfiguration)
    };
    let refusal = |fault, problem: &str| {
        let error = ConnectionError::BadConnection(problem.to_owned());
        Err(Unusable { fault, error })
    };
    let is_on = |variables: &[Variable], wanted: &str| {
        let mut found = variables.iter().filter(|variable| variable.name == wanted);
        found.any(|variable| !["OFF", "0"].contains(&variable.value.as_str()))
    };
    // These statements are answered on all nodes, and a server without Galera lacks some of these variables.
    let variables = look("SHOW VARIABLES WHERE Variable_name IN ('read_only', 'wsrep_on')")?;
    if has_others && is_on(&variables, "read_only") {
        return refusal(Fault::ReadOnly, "the server is read-only");
    }
    if !is_on(&variables, "wsrep_on") {
        return Ok(Node::Alone);
    }
    if !is_on(&look("SHOW STATUS LIKE 'wsrep_ready'")?, "wsrep_ready") {
        return refusal(
            Fault::Other,
            "the node does not take part in its Galera cluster (wsrep_ready is OFF)",
        );
    }
    Ok(Node::OfCluster)
}

/// The addition to the set-up on a node of a Galera cluster: a read, and the first statement of a transaction, wait
/// until the node has applied all writes that other nodes have committed before. Without the wait, a client may miss
/// the client's own write through another node. A larger value of the server is kept.
const CAUSAL_READS: &str = "; SET SESSION wsrep_sync_wait = @@SESSION.wsrep_sync_wait | 1";

/// Returns an error if a connection to MariaDB does not use TLS. The client library refuses such a connection only if
/// the library must also verify the server's certificate.
fn refuse_plain_text(conn: &mut DbConnection) -> ConnectionResult<()> {
    let status = diesel::sql_query("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
    let status: Vec<Variable> = status.load(conn).map_err(ConnectionError::CouldntSetupConfiguration)?;
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
/// The variable `allotment.own` or `@allotment_own` tells the triggers for other writers (see the module `migrations`) that
/// this service writes, which needs no mark.
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
             EXCEPTION WHEN insufficient_privilege THEN NULL; END $$; SET allotment.own = 'on'; \
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
            "SET @allotment_own = 1; SET NAMES utf8mb4; SET lc_messages = 'en_US'; SET time_zone = '+00:00'; \
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

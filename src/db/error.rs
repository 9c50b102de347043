//! Errors of the database, and the list of errors after which a transaction runs again.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A failure of the database itself, never of what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A statement failed.
    #[error("database: {0}{advice}", advice = advice(.0))]
    Statement(#[from] DieselError),
    /// No connection could be made.
    #[error("cannot connect to the database: {0}")]
    Connection(#[from] diesel::ConnectionError),
    /// The pool had no connection.
    #[error("no database connection: {0}")]
    Pool(#[from] r2d2::Error),
    /// All connections were busy for too long.
    #[error("no database connection came free in {0:?}")]
    Busy(Duration),
    /// A concurrent writer was first, and the server may settle that by running again.
    #[error("a concurrent writer was first")]
    LostRace,
    /// A row like the one to insert is there, and stays there however often the work is run again.
    #[error("a row that must be unique is there already: {0}")]
    Duplicate(String),
    /// The settings name a database that this binary cannot use.
    #[error("{0}")]
    Unusable(String),
    /// The schema could not be brought up to date.
    #[error("migration: {0}")]
    Migration(String),
    /// The work was dropped before it could end: the service is stopping, or the code panicked.
    #[error("the database work was cut short")]
    CutShort,
}

impl Error {
    /// Whether the whole transaction may succeed when it is run again.
    ///
    /// This is the only list of such errors. Unique and foreign-key violations belong to it because
    /// every insert looks first: a violation means that another writer came in between, and the
    /// second run sees what that one did and answers accordingly.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::LostRace => true,
            Error::Statement(DieselError::DatabaseError(kind, info)) => match kind {
                DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::SerializationFailure => true,
                _ => is_conflict_message(info.message()),
            },
            _ => false,
        }
    }

    /// Whether the connection is of no more use: it has ended, or the server at its other end serves no
    /// longer. A new connection may still reach the database.
    ///
    /// A transaction that meets this before its COMMIT is sent has written nothing.
    pub fn is_gone(&self) -> bool {
        match self {
            Error::Statement(error) => is_gone(error),
            _ => false,
        }
    }

    /// Whether a text that the work brought along has characters that the database's tables have not.
    pub fn is_unstorable_text(&self) -> bool {
        matches!(self, Error::Statement(error) if is_unstorable_text(error))
    }

    /// The unique key that was violated, in the database's words, if that is what went wrong.
    pub(crate) fn violated_key(&self) -> Option<String> {
        match self {
            Error::Statement(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, info)) => {
                Some(format!("{} {}", info.message(), info.details().unwrap_or_default()))
            }
            _ => None,
        }
    }

    /// Whether the database is out of reach, rather than refusing a statement.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Error::Connection(_) | Error::Pool(_) | Error::Busy(_) | Error::CutShort => true,
            Error::Statement(error) => is_gone(error) || is_cut_off(error),
            _ => false,
        }
    }
}

/// The advice for an error that the database's own words do not explain.
fn advice(error: &DieselError) -> &'static str {
    let message = error.to_string();
    let is_of_pooler = message.contains("prepared statement") && message.contains("__diesel_stmt_");
    if is_of_pooler {
        " (behind a pooler of transactions, such as pgbouncer, database.prepared_statements must be false)"
    } else {
        ""
    }
}

fn is_gone(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(
            // A server that has become a replica: the address leads to another one by now.
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ReadOnlyTransaction,
            _,
        )
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(_, info) => is_gone_message(info.message()),
        // A transaction is left that can neither be committed nor be rolled back.
        DieselError::RollbackErrorOnCommit { .. } => true,
        _ => false,
    }
}

/// Whether the server gave up a statement that took too long or that somebody stopped.
fn is_cut_off(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(_, info) => is_cut_off_message(info.message()),
        _ => false,
    }
}

/// Whether a statement failed because a text in it has characters that the tables have not.
///
/// Tables that are not in utf8mb4 refuse such a text when it is stored, and when it is compared:
/// MariaDB with 1267, 1270, 1271, 1366 and 1977, MySQL with 3988, PostgreSQL with 22P05. Columns that
/// cannot be compared with each other are told by 1267 too; then no text is to blame, and nothing is
/// said of `COERCIBLE`.
pub fn is_unstorable_text(error: &DieselError) -> bool {
    let DieselError::DatabaseError(_, info) = error else {
        return false;
    };
    let message = info.message();
    let is_mixed = message.contains("Illegal mix of collations")
        && (message.contains("COERCIBLE") || message.contains("collations for operation"));
    is_mixed
        || [
            "Incorrect string value",
            "Cannot convert '",
            "Conversion from collation",
            "has no equivalent in encoding",
        ]
        .iter()
        .any(|text| message.contains(text))
}

/// The messages of conflicts for which diesel has no kind of its own: PostgreSQL 40P01, MariaDB
/// 1213 (also from a Galera commit), 1205 and 1020, SQLite's SQLITE_BUSY.
pub(crate) fn is_conflict_message(message: &str) -> bool {
    contains_any(
        message,
        &[
            "deadlock detected",
            "Deadlock found",
            "Lock wait timeout exceeded",
            "Record has changed since last read",
            "database is locked",
        ],
    )
}

/// The messages of connections that have ended, for which diesel has no kind of its own. MariaDB's
/// errors have none at all, and PostgreSQL's only where libpq has noticed the end already.
fn is_gone_message(message: &str) -> bool {
    contains_any(
        message,
        &[
            // libpq, when the other end is silent or closes.
            "server closed the connection",
            "no connection to the server",
            "could not receive data from server",
            "could not send data to server",
            "could not connect",
            "connection to server",
            "connection not open",
            "connection is not open",
            "write to server failed",
            "SSL connection has been closed",
            "SSL SYSCALL error",
            "SSL error",
            "TLS/SSL error",
            "lost synchronization with server",
            // PostgreSQL 57P01, 57P02, 57P05 and 25P03; 57P03; 08P01.
            "terminating connection",
            "the database system is",
            "unsupported frontend protocol",
            // The messages of pgbouncer when it, or the server behind it, ends a connection.
            "server conn crashed",
            "pgbouncer",
            "query_wait_timeout",
            "client_idle_timeout",
            "idle transaction timeout",
            "query timeout",
            // libmariadb 2002 to 2006, 2013, 2055; 2014; 2027; 2056.
            "Can't connect to",
            "gone away",
            "Lost connection",
            "Commands out of sync",
            "alformed packet",
            "alformed communication packet",
            "Server closed statement",
            // MariaDB 1053, 1077, 1156 to 1161, 1927 and 4031; 1047 of a Galera node that has left its
            // cluster; 1243 of a proxy that has changed servers; 1290 and 1836 of a replica.
            "Server shutdown",
            "Normal shutdown",
            "packets out of order",
            "communication packets",
            "Connection was killed",
            "was disconnected by the server",
            "WSREP has not yet prepared",
            "Unknown prepared statement handler",
            "--read-only option",
            "read-only mode",
        ],
    )
}

/// The messages of statements that the server ended while the connection stays: PostgreSQL 57014 and
/// 55P03, MariaDB 1317 and 1969.
fn is_cut_off_message(message: &str) -> bool {
    contains_any(message, &["canceling statement due to", "Query execution was interrupted"])
}

fn contains_any(message: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| message.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(kind: DatabaseErrorKind, message: &str) -> Error {
        Error::Statement(DieselError::DatabaseError(kind, Box::new(message.to_owned())))
    }

    #[test]
    fn behind_a_pooler_the_setting_is_named() {
        let failed = |message| statement(DatabaseErrorKind::Unknown, message).to_string();
        let advised = failed("prepared statement \"__diesel_stmt_3\" does not exist");
        assert!(advised.contains("database.prepared_statements must be false"), "{advised}");
        assert_eq!(failed("relation \"a\" does not exist"), "database: relation \"a\" does not exist");
    }

    #[test]
    fn a_connection_that_has_ended_is_told_from_a_statement_that_failed() {
        for message in [
            "terminating connection due to administrator command",
            "terminating connection due to idle-session timeout",
            "terminating connection because of crash of another server process",
            "the database system is shutting down",
            "server closed the connection unexpectedly",
            "could not receive data from server: Connection timed out",
            "SSL connection has been closed unexpectedly",
            "Server has gone away",
            "MySQL server has gone away",
            "Lost connection to server during query",
            "Lost connection to server at 'handshake: reading initial communication packet', system error: 104",
            "Connection was killed",
            "Server shutdown in progress",
            "Commands out of sync; you can't run this command now",
            "Got timeout reading communication packets",
            "The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout for configuring this behavior.",
            "WSREP has not yet prepared node for application use",
            "The MariaDB server is running with the --read-only option so it cannot execute this statement",
        ] {
            let error = statement(DatabaseErrorKind::Unknown, message);
            assert!(error.is_gone() && error.is_unavailable() && !error.is_retryable(), "{message}");
        }
        for kind in [DatabaseErrorKind::ClosedConnection, DatabaseErrorKind::UnableToSendCommand] {
            assert!(statement(kind, "").is_gone());
        }
        for message in [
            "canceling statement due to statement timeout",
            "Query execution was interrupted (max_statement_time exceeded)",
        ] {
            let error = statement(DatabaseErrorKind::Unknown, message);
            assert!(!error.is_gone() && error.is_unavailable(), "{message}");
        }
        for message in ["relation \"allocations\" does not exist", "Unknown column 'x' in 'SELECT'"] {
            let error = statement(DatabaseErrorKind::Unknown, message);
            assert!(!error.is_gone() && !error.is_unavailable(), "{message}");
        }
    }

    #[test]
    fn texts_that_tables_cannot_hold_are_told_from_columns_that_do_not_compare() {
        let is_text = |message| statement(DatabaseErrorKind::Unknown, message).is_unstorable_text();
        for message in [
            "Illegal mix of collations (utf8mb3_general_ci,IMPLICIT) and (utf8mb4_general_ci,COERCIBLE) for operation '='",
            "Illegal mix of collations (latin1_swedish_ci,IMPLICIT), (utf8mb4_general_ci,COERCIBLE), (utf8mb4_general_ci,COERCIBLE) for operation 'in'",
            "Illegal mix of collations for operation 'in'",
            "Incorrect string value: '\\xF0\\x9F\\x98\\x80' for column `placement`.`projects`.`external_id` at row 1",
            "Conversion from collation utf8mb4_0900_ai_ci into latin1_swedish_ci impossible for parameter",
            "character with byte sequence 0xe2 0x98 0x83 in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"",
        ] {
            assert!(is_text(message), "{message}");
        }
        for message in [
            "Illegal mix of collations (utf8mb4_general_ci,IMPLICIT) and (utf8mb4_unicode_ci,IMPLICIT) for operation '='",
            "Incorrect integer value: 'x' for column `placement`.`inventories`.`total` at row 1",
            "Data too long for column 'name' at row 1",
        ] {
            assert!(!is_text(message), "{message}");
        }
    }

    #[test]
    fn a_commit_on_a_connection_that_ends_is_gone() {
        let gone = || {
            Box::new(DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new(String::new())))
        };
        let both = DieselError::RollbackErrorOnCommit { rollback_error: gone(), commit_error: gone() };
        assert!(Error::Statement(both).is_gone());
    }
}

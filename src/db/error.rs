//! The errors of the database, and the lists of errors after which a transaction or a connection is tried again.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A failure of the database, and not a refusal of a request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A statement failed.
    #[error("database: {0}{advice}", advice = advice(.0))]
    Statement(#[from] DieselError),
    /// No connection could be opened.
    #[error("cannot connect to the database: {0}")]
    Connection(#[from] diesel::ConnectionError),
    /// The pool could not open a connection.
    #[error("no database connection: {0}")]
    Pool(#[from] r2d2::Error),
    /// All connections of the pool were in use for this time.
    #[error("no database connection came free in {0:?}")]
    Busy(Duration),
    /// This replica was not registered in `allotment_replicas` in time. An unregistered replica may not write.
    #[error("this replica of the service could not be registered in {0:?}")]
    Unregistered(Duration),
    /// The changes by other replicas could not be read in time.
    #[error("the changes by other replicas of the service could not be read in {0:?}")]
    FeedUnread(Duration),
    /// Another transaction has changed or deleted a row after this transaction read the row. The service may
    /// run this transaction again.
    #[error("a concurrent writer was first")]
    LostRace,
    /// A unique key is violated, and would be violated again if the transaction ran again. The text is the database's
    /// message.
    #[error("a row that must be unique is there already: {0}")]
    Duplicate(String),
    /// The service can't use the database that the settings name. The text says why.
    #[error("{0}")]
    Unusable(String),
    /// A statement of a migration of the schema failed.
    #[error("migration {name}: {error}")]
    Migration {
        /// The name of the migration.
        name: &'static str,
        /// The error of the statement.
        error: DieselError,
    },
    /// The transaction that did the writes of several requests has failed. The text is the error of the database.
    #[error("a transaction for several requests has failed: {0}")]
    Joint(String),
    /// The work was dropped before its end, because the service stops or the code panicked.
    #[error("the database work was cut short")]
    CutShort,
}

impl Error {
    /// Returns true if the transaction may succeed when the whole transaction runs again.
    ///
    /// This method has the only list of such errors. Violations of unique keys and foreign keys belong to the list,
    /// because each insert is preceded by a look-up. A violation then means that another writer has changed the rows
    /// in between. The second run sees this change.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::LostRace) || self.of_statement().is_some_and(is_conflict)
    }

    /// Returns the error of a statement. Returns None if the error is of another kind.
    fn of_statement(&self) -> Option<&DieselError> {
        match self {
            Error::Statement(error) | Error::Migration { error, .. } => Some(error),
            _ => None,
        }
    }

    /// Returns true if the connection can't be used any more: the connection has ended, or the server is shutting
    /// down or has become read-only. A new connection may reach the database.
    ///
    /// If a transaction gets such an error before its COMMIT is sent, the database keeps nothing of the transaction.
    pub fn is_gone(&self) -> bool {
        self.of_statement().is_some_and(is_gone)
    }

    /// Returns true if a statement may have failed after its first row, and false if the statement has no rows.
    pub fn may_end_rows(&self) -> bool {
        self.of_statement().is_some() && self.violated_key().is_none()
    }

    /// Returns true if the server has refused a write because the server is read-only.
    pub fn is_of_read_only_server(&self) -> bool {
        match self.of_statement() {
            Some(DieselError::DatabaseError(_, info)) if info.message().contains(STRAY_WRITE) => false,
            Some(DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _)) => true,
            Some(DieselError::DatabaseError(_, info)) => contains_any(info.message(), &READ_ONLY),
            _ => false,
        }
    }

    /// Returns true if a text in the statement has characters that the database's tables can't store.
    pub fn is_unstorable_text(&self) -> bool {
        matches!(self, Error::Statement(error) if is_unstorable_text(error))
    }

    /// Returns the database's message about the violated unique key. Returns None if the error is of another kind.
    pub(crate) fn violated_key(&self) -> Option<String> {
        match self {
            Error::Statement(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, info)) => {
                Some(format!("{} {}", info.message(), info.details().unwrap_or_default()))
            }
            _ => None,
        }
    }

    /// Returns true if the database can't be reached, or did not answer in time. Returns false if the database
    /// refused a statement.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Error::Connection(_)
            | Error::Pool(_)
            | Error::Busy(_)
            | Error::Unregistered(_)
            | Error::FeedUnread(_)
            | Error::Joint(_)
            | Error::CutShort => true,
            _ => {
                self.is_wait_over()
                    || self.of_statement().is_some_and(|error| is_gone(error) || is_cut_off(error))
            }
        }
    }

    /// Returns true if the server stopped the statement, because of a time limit or because an operator stopped the
    /// statement. The connection can still be used.
    pub fn is_cut_off(&self) -> bool {
        self.of_statement().is_some_and(is_cut_off)
    }

    /// Returns true if the server has waited too long for a lock. A node of a Galera cluster also reports this error if
    /// a read, or the first statement of a transaction, has waited too long for the writes of other nodes, for example
    /// because the node has lost these nodes.
    pub fn is_wait_over(&self) -> bool {
        match self.of_statement() {
            Some(DieselError::DatabaseError(_, info)) => {
                contains_any(info.message(), &[WAIT_IS_OVER, "due to lock timeout"])
            }
            _ => false,
        }
    }

    /// Returns true if this error of a COMMIT proves that the database keeps nothing of the transaction, at the latest
    /// when the connection ends. After all other errors, only the database knows whether the transaction is committed.
    pub fn is_undone(&self) -> bool {
        match self {
            Error::Statement(DieselError::RollbackErrorOnCommit { commit_error, .. }) => {
                is_conflict(commit_error) || is_refusal(commit_error)
            }
            Error::Statement(error) => is_conflict(error) || is_refusal(error),
            _ => self.is_retryable(),
        }
    }
}

/// The message of MariaDB's error 1205.
const WAIT_IS_OVER: &str = "Lock wait timeout exceeded";

/// Returns true for conflicts with other transactions. The database has rolled the transaction back.
fn is_conflict(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(kind, info) => match kind {
            DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::SerializationFailure => true,
            _ => is_conflict_message(info.message()),
        },
        _ => false,
    }
}

/// Returns true if the server did not even begin with a statement: a Galera node that does not take part in its
/// cluster, or a server that takes no writes.
fn is_refusal(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(_, info) => contains_any(info.message(), &REFUSALS),
        _ => false,
    }
}

/// Messages of MariaDB's errors 1047, 1290 and 1836.
const REFUSALS: [&str; 3] = ["WSREP has not yet prepared", READ_ONLY[0], READ_ONLY[1]];

/// Messages of MariaDB's errors 1290 and 1836.
const READ_ONLY: [&str; 2] = ["--read-only option", "read-only mode"];

/// Returns advice for an error whose message does not explain the cause. Returns an empty text for all other errors.
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
        DieselError::DatabaseError(_, info) if info.message().contains(STRAY_WRITE) => false,
        DieselError::DatabaseError(
            // A read-only transaction means that the server has become a replica. A new connection to the same
            // address then leads to another server.
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ReadOnlyTransaction,
            _,
        )
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(_, info) => is_gone_message(info.message()),
        // The transaction could neither be committed nor rolled back. So the connection can't be used any
        // more.
        DieselError::RollbackErrorOnCommit { .. } => true,
        _ => false,
    }
}

/// Returns true if the server stopped the statement, because of a time limit or because an operator stopped the
/// statement.
fn is_cut_off(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(_, info) => is_cut_off_message(info.message()),
        _ => false,
    }
}

/// Returns true if a statement failed because a text has characters that the tables can't store.
///
/// Tables with another character set than utf8mb4 refuse such a text when the text is stored or compared. MariaDB's
/// errors are 1267, 1270, 1271, 1366 and 1977, MySQL's error is 3988, and PostgreSQL's error is 22P05. Error 1267
/// also occurs if two columns can't be compared with each other. In that case no text is to blame, and the message
/// lacks the word `COERCIBLE`.
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

/// The message of MariaDB's error 1792: a write after a Galera cluster has ended the transaction unnoticed.
const STRAY_WRITE: &str = "Cannot execute statement in a READ ONLY transaction";

/// Returns true for the messages of conflicts that diesel reports without a kind: PostgreSQL's 40P01, MariaDB's 1213
/// (also from a commit on Galera, where some releases have another message), 1020 and 1792, and SQLite's SQLITE_BUSY.
pub(crate) fn is_conflict_message(message: &str) -> bool {
    contains_any(
        message,
        &[
            "deadlock detected",
            "Deadlock found",
            "WSREP detected deadlock/conflict",
            "Record has changed since last read",
            STRAY_WRITE,
            "database is locked",
        ],
    )
}

/// Returns true for the messages of ended connections that diesel reports without a kind. Diesel has no kind for such
/// errors of MariaDB. For PostgreSQL, diesel has a kind only if libpq has already noticed the end.
fn is_gone_message(message: &str) -> bool {
    contains_any(message, &REFUSALS)
        || contains_any(
            message,
            &[
                // Messages of libpq if the server closes the connection or does not answer.
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
                // Messages of PostgreSQL's errors 57P01, 57P02, 57P05, 25P03, 57P03 and 08P01.
                "terminating connection",
                "the database system is",
                "unsupported frontend protocol",
                // Messages of pgbouncer when pgbouncer, or the server behind pgbouncer, ends a connection.
                "server conn crashed",
                "pgbouncer",
                "query_wait_timeout",
                "client_idle_timeout",
                "idle transaction timeout",
                "query timeout",
                // Messages of libmariadb's errors 2002 to 2006, 2013, 2014, 2027, 2055 and 2056.
                "Can't connect to",
                "gone away",
                "Lost connection",
                "Commands out of sync",
                "alformed packet",
                "alformed communication packet",
                "Server closed statement",
                // Messages of MariaDB's errors 1053, 1077, 1156 to 1161, 1927 and 4031. Error 1243 comes from a proxy that
                // has switched to another server. Error 1180 comes from a COMMIT on a Galera node that has lost the other
                // nodes meanwhile.
                "Server shutdown",
                "Normal shutdown",
                "packets out of order",
                "communication packets",
                "Connection was killed",
                "was disconnected by the server",
                "Unknown prepared statement handler",
                "during COMMIT",
                "while appending streaming replication fragment",
            ],
        )
}

/// Returns true for the messages of statements that the server stopped without ending the connection: PostgreSQL's
/// 57014 and 55P03, MariaDB's 1317 and 1969.
fn is_cut_off_message(message: &str) -> bool {
    contains_any(message, &["canceling statement due to", "Query execution was interrupted"])
}

fn contains_any(message: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| message.contains(text))
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;

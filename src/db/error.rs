//! What can go wrong with the database, and which of it means "run it again".

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A failure of the database itself, never of what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A statement failed.
    #[error("database: {0}")]
    Statement(#[from] DieselError),
    /// No connection could be made.
    #[error("cannot connect to the database: {0}")]
    Connection(#[from] diesel::ConnectionError),
    /// No connection was to be had.
    #[error("no database connection: {0}")]
    Pool(#[from] r2d2::Error),
    /// All connections were busy for too long.
    #[error("no database connection came free in {0:?}")]
    Busy(Duration),
    /// A concurrent writer was first, and the server may settle that by running again.
    #[error("a concurrent writer was first")]
    LostRace,
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

    /// Whether the database is out of reach, rather than refusing a statement.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Error::Connection(_) | Error::Pool(_) | Error::Busy(_) | Error::CutShort => true,
            Error::Statement(error) => is_away(error),
            _ => false,
        }
    }
}

fn is_away(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, _)
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(_, info) => is_away_message(info.message()),
        DieselError::RollbackErrorOnCommit { commit_error, .. } => is_away(commit_error),
        _ => false,
    }
}

/// The messages of conflicts for which diesel has no kind of its own: PostgreSQL 40P01, MariaDB
/// 1213 (also from a Galera commit), 1205 and 1020, SQLite's SQLITE_BUSY.
pub(super) fn is_conflict_message(message: &str) -> bool {
    [
        "deadlock detected",
        "Deadlock found",
        "Lock wait timeout exceeded",
        "Record has changed since last read",
        "database is locked",
    ]
    .iter()
    .any(|text| message.contains(text))
}

/// The messages of a server that went away, for which diesel has no kind of its own.
fn is_away_message(message: &str) -> bool {
    [
        "server closed the connection",
        "gone away",
        "Lost connection",
        "terminating connection",
        "Server shutdown",
        "could not connect",
        "no connection to the server",
    ]
    .iter()
    .any(|text| message.contains(text))
}

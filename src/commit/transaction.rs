//! Runs transactions, which wait for other writers and run again after a conflict.

#![expect(clippy::disallowed_methods, reason = "this file alone begins and ends transactions")]

use std::time::Duration;

#[cfg(any(feature = "sqlite", feature = "mysql"))]
use diesel::connection::AnsiTransactionManager;
use diesel::connection::{SimpleConnection, TransactionManager};
use rand::Rng;

use crate::commit::tx::Tx;
use crate::db::connection::close_statements;
use crate::db::{DbConnection, Error, Kind};
use crate::metrics;

/// The largest number of runs of a transaction. A conflict in the last run is an error.
pub const MAX_RUNS: u32 = 30;

/// The number of times in a row that a transaction may violate the same unique key.
///
/// A transaction that violates a unique key runs again, and then usually finds the row of the other writer. If
/// clients create and delete one consumer over and over, several runs in a row can violate the key. A transaction
/// that violates the key in every run compares texts differently from the key, for example with case, so more runs
/// would not help.
const MAX_SAME_KEY: u32 = 20;

type Manager = <DbConnection as diesel::Connection>::TransactionManager;

/// An error of work inside a transaction. The error may come from the database or from the work itself.
pub trait TransactionError: From<Error> + From<diesel::result::Error> {
    /// Returns the error of the database. Returns None if the error is of another kind.
    fn database(&self) -> Option<&Error>;
}

impl TransactionError for Error {
    fn database(&self) -> Option<&Error> {
        Some(self)
    }
}

/// Runs `work` in a transaction. Calls `commit` if `work` succeeds, and rolls back if `work` fails. On SQLite the
/// transaction acquires the write lock at the beginning.
pub fn transaction<T, E: TransactionError>(
    tx: &mut Tx,
    work: impl FnOnce(&mut Tx) -> Result<T, E>,
    commit: impl FnOnce(&mut Tx) -> Result<(), Error>,
) -> Result<T, E> {
    begin(tx)?;
    finish(tx, work, commit)
}

/// Runs `work` in a savepoint of the open transaction.
pub fn savepoint<T, E: TransactionError>(
    tx: &mut Tx,
    work: impl FnOnce(&mut Tx) -> Result<T, E>,
) -> Result<T, E> {
    Manager::begin_transaction(tx.conn())?;
    finish(tx, work, commit)
}

/// Commits the transaction, or releases the innermost savepoint. Returns [`Error::LostRace`] if the database has ended the
/// transaction unnoticed (see [`stray_writes`](crate::db::stray_writes)).
pub fn commit(tx: &mut Tx) -> Result<(), Error> {
    let error = match tx.may_be_over() {
        Ok(false) => return Ok(Manager::commit_transaction(tx.conn())?),
        Ok(true) => Error::LostRace,
        Err(error) => error,
    };
    roll_back(tx)?;
    Err(error)
}

fn finish<T, E: TransactionError>(
    tx: &mut Tx,
    work: impl FnOnce(&mut Tx) -> Result<T, E>,
    commit: impl FnOnce(&mut Tx) -> Result<(), Error>,
) -> Result<T, E> {
    match work(tx) {
        Ok(value) => {
            commit(tx)?;
            Ok(value)
        }
        Err(error) => {
            // The caller gets the error of `work`. If the rollback fails too, the connection is broken, and the pool
            // will drop the connection.
            if let Err(second) = roll_back(tx) {
                log::warn!("rollback failed: {second}");
            } else if error.database().is_some_and(Error::may_end_rows) {
                close_statements(tx);
            }
            Err(error)
        }
    }
}

/// Runs `work` in a transaction, and again from the start after each conflict, at most `runs` times. `name` is the name
/// of the work in the log and in the metrics.
///
/// `work` may run many times, so `work` must have no effect outside the database.
pub fn retrying<T, E: TransactionError>(
    tx: &mut Tx,
    name: &str,
    runs: u32,
    work: impl Fn(&mut Tx) -> Result<T, E>,
    commit: impl Fn(&mut Tx) -> Result<(), Error>,
) -> Result<T, E> {
    let mut run = 1;
    let mut violated: Option<(String, u32)> = None;
    loop {
        // The rollback has undone the changes of an earlier run, so the record of touched parts is cleared.
        tx.forget();
        let error = match transaction(tx, &work, &commit) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        violated = error.database().and_then(Error::violated_key).map(|key| match violated.take() {
            Some((last, times)) if last == key => (key, times + 1),
            _ => (key, 1),
        });
        if let Some((key, times)) = &violated
            && *times == MAX_SAME_KEY
        {
            return Err(E::from(Error::Duplicate(key.clone())));
        }
        let retryable = error.database().is_some_and(Error::is_retryable);
        if retryable {
            metrics::database::retried(name, run < runs);
        }
        if !retryable || run == runs {
            return Err(error);
        }
        log::debug!("{name}: run {run} met a conflict, running again");
        std::thread::sleep(pause(run));
        run += 1;
    }
}

/// Converts an error of a transaction that runs while nobody else writes. A unique key that such a transaction
/// violates was not inserted by another writer in between. So a new run would not help, and the error becomes
/// [`Error::Duplicate`].
pub fn without_rivals<E: TransactionError>(error: E) -> E {
    match error.database().and_then(Error::violated_key) {
        Some(key) => E::from(Error::Duplicate(key)),
        None => error,
    }
}

/// Returns a random pause of at most 64 milliseconds that grows with the number of runs. The randomness separates
/// transactions that conflict with each other.
fn pause(run: u32) -> Duration {
    let longest = 1_000 << run.min(6);
    Duration::from_micros(rand::rng().random_range(0..longest))
}

/// Runs `work` in a transaction whose reads all see the database as of one moment.
pub fn in_snapshot<T, E: From<Error>>(
    conn: &mut DbConnection,
    work: impl FnOnce(&mut DbConnection) -> Result<T, E>,
) -> Result<T, E> {
    begin_snapshot(conn)?;
    let outcome = work(conn);
    let ended = end_snapshot(conn);
    // If `work` and the end of the transaction both fail, the error of `work` says more.
    let value = outcome?;
    ended?;
    Ok(value)
}

/// Opens a transaction whose reads all see the database as of one moment.
pub fn begin_snapshot(conn: &mut DbConnection) -> Result<(), Error> {
    let sql = match conn.kind() {
        // On SQLite and PostgreSQL, the first read in the transaction fixes the moment.
        Kind::Sqlite => "BEGIN; SELECT 1 FROM alembic_version",
        Kind::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1",
        Kind::Mysql => {
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT"
        }
    };
    Ok(conn.batch_execute(sql)?)
}

/// Ends the transaction that [`begin_snapshot`] opened.
pub fn end_snapshot(conn: &mut DbConnection) -> Result<(), Error> {
    Ok(conn.batch_execute("ROLLBACK")?)
}

fn begin(tx: &mut Tx) -> Result<(), Error> {
    match tx.conn() {
        // Without IMMEDIATE, a transaction that reads first and writes later fails at once if another writer is
        // active. With IMMEDIATE, the transaction waits.
        #[cfg(feature = "sqlite")]
        DbConnection::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")?,
        #[cfg(feature = "mysql")]
        DbConnection::Mysql(c) => {
            AnsiTransactionManager::begin_transaction_sql(c, "START TRANSACTION READ WRITE")?;
        }
        #[cfg(feature = "postgres")]
        conn => Manager::begin_transaction(conn)?,
    }
    Ok(())
}

/// Rolls back the innermost transaction or savepoint, if there is one.
pub fn roll_back(tx: &mut Tx) -> Result<(), Error> {
    match Manager::rollback_transaction(tx.conn()) {
        // The database has already ended the transaction, as a Galera cluster does after a deadlock. Then
        // there is nothing to roll back.
        Ok(()) | Err(diesel::result::Error::NotInTransaction) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

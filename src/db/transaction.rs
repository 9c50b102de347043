//! Transactions: begun so that reading then writing waits instead of failing, run again on conflict.

use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use rand::Rng;

use super::{DbConnection, Error};

/// How often a transaction is run before its conflict is given up.
const MAX_RUNS: u32 = 30;

/// An error of the work inside a transaction, which may be the database's.
pub trait TransactionError: From<Error> + From<diesel::result::Error> {
    /// The database's part of it, if it has one.
    fn database(&self) -> Option<&Error>;
}

impl TransactionError for Error {
    fn database(&self) -> Option<&Error> {
        Some(self)
    }
}

/// Runs `work` in a transaction that takes the write lock at once where the database has one.
pub fn transaction<T, E: TransactionError>(
    conn: &mut DbConnection,
    work: impl FnOnce(&mut DbConnection) -> Result<T, E>,
) -> Result<T, E> {
    begin(conn)?;
    match work(conn) {
        Ok(value) => {
            DbConnection::commit(conn)?;
            Ok(value)
        }
        Err(error) => {
            // The error of the work is the one to report; a rollback that fails leaves a
            // connection which the pool finds broken and drops.
            if let Err(second) = DbConnection::roll_back(conn) {
                log::warn!("rollback failed: {second}");
            }
            Err(error)
        }
    }
}

/// Runs `work` in a transaction, again from the start for as long as it meets conflicts.
///
/// `work` may run many times, so it does nothing but talk to the database.
pub fn retrying<T, E: TransactionError>(
    conn: &mut DbConnection,
    name: &str,
    work: impl Fn(&mut DbConnection) -> Result<T, E>,
) -> Result<T, E> {
    let mut run = 1;
    loop {
        let error = match transaction(conn, &work) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let retryable = error.database().is_some_and(Error::is_retryable);
        if !retryable || run == MAX_RUNS {
            return Err(error);
        }
        log::debug!("{name}: run {run} met a conflict, running again");
        std::thread::sleep(pause(run));
        run += 1;
    }
}

/// A random pause that grows with the number of runs, so that rivals fall out of step.
fn pause(run: u32) -> Duration {
    let longest = 1_000 << run.min(6);
    Duration::from_micros(rand::rng().random_range(0..longest))
}

fn begin(conn: &mut DbConnection) -> Result<(), Error> {
    match conn {
        // Without IMMEDIATE, a reader that turns writer fails at once instead of waiting.
        #[cfg(feature = "sqlite")]
        DbConnection::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")?,
        #[cfg(any(feature = "postgres", feature = "mysql"))]
        _ => <DbConnection as diesel::Connection>::TransactionManager::begin_transaction(conn)?,
    }
    Ok(())
}

impl DbConnection {
    fn commit(conn: &mut DbConnection) -> Result<(), Error> {
        Ok(<DbConnection as diesel::Connection>::TransactionManager::commit_transaction(conn)?)
    }

    fn roll_back(conn: &mut DbConnection) -> Result<(), Error> {
        match <DbConnection as diesel::Connection>::TransactionManager::rollback_transaction(conn) {
            // The database has ended the transaction already, as Galera does with a deadlock.
            Ok(()) | Err(diesel::result::Error::NotInTransaction) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

//! Transactions, which wait for other writers instead of failing, and run again after a conflict.

#![expect(clippy::disallowed_methods, reason = "this file alone begins and ends transactions")]

use std::time::Duration;

#[cfg(feature = "sqlite")]
use diesel::connection::AnsiTransactionManager;
use diesel::connection::{SimpleConnection, TransactionManager};
use rand::Rng;

use crate::commit::tx::Tx;
use crate::db::{DbConnection, Error, Kind};
use crate::metrics;

/// The number of runs of a transaction after which a conflict becomes an error.
const MAX_RUNS: u32 = 30;

/// How often a transaction may meet the same unique key in a row.
///
/// The row in the way is committed, so the next run finds it, unless the row was deleted and inserted again
/// in between. Clients that create and end one consumer over and over cause that several times in a row. A
/// transaction that meets the key every time compares texts otherwise than the key does, and would meet it
/// for ever.
const MAX_SAME_KEY: u32 = 20;

type Manager = <DbConnection as diesel::Connection>::TransactionManager;

/// An error of the work inside a transaction. It may be an error of the database.
pub trait TransactionError: From<Error> + From<diesel::result::Error> {
    /// The database's error, if it is one.
    fn database(&self) -> Option<&Error>;
}

impl TransactionError for Error {
    fn database(&self) -> Option<&Error> {
        Some(self)
    }
}

/// Runs `work` in a transaction that takes the write lock at once where the database has one.
/// `commit` is called in place of a plain commit.
pub fn transaction<T, E: TransactionError>(
    tx: &mut Tx,
    work: impl FnOnce(&mut Tx) -> Result<T, E>,
    commit: impl FnOnce(&mut Tx) -> Result<(), Error>,
) -> Result<T, E> {
    begin(tx)?;
    finish(tx, work, commit)
}

/// Runs `work` in a savepoint of the transaction that is open.
pub fn savepoint<T, E: TransactionError>(
    tx: &mut Tx,
    work: impl FnOnce(&mut Tx) -> Result<T, E>,
) -> Result<T, E> {
    Manager::begin_transaction(tx.conn())?;
    finish(tx, work, commit)
}

/// Commits, or releases the innermost savepoint.
pub fn commit(tx: &mut Tx) -> Result<(), Error> {
    Ok(Manager::commit_transaction(tx.conn())?)
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
            // The error of the work is the one to report; a rollback that fails leaves a
            // connection which the pool finds broken and drops.
            if let Err(second) = roll_back(tx) {
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
    tx: &mut Tx,
    name: &str,
    work: impl Fn(&mut Tx) -> Result<T, E>,
    commit: impl Fn(&mut Tx) -> Result<(), Error>,
) -> Result<T, E> {
    let mut run = 1;
    let mut violated: Option<(String, u32)> = None;
    loop {
        // The parts that an earlier run touched were rolled back with it.
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
            metrics::database::retried(name, run < MAX_RUNS);
        }
        if !retryable || run == MAX_RUNS {
            return Err(error);
        }
        log::debug!("{name}: run {run} met a conflict, running again");
        std::thread::sleep(pause(run));
        run += 1;
    }
}

/// The meaning of an error where nobody else writes between a look and an insert: a transaction that meets a
/// unique key there has lost no race.
pub fn without_rivals<E: TransactionError>(error: E) -> E {
    match error.database().and_then(Error::violated_key) {
        Some(key) => E::from(Error::Duplicate(key)),
        None => error,
    }
}

/// A random pause that grows with the number of runs, so that rivals fall out of step.
fn pause(run: u32) -> Duration {
    let longest = 1_000 << run.min(6);
    Duration::from_micros(rand::rng().random_range(0..longest))
}

/// Runs `work` in a transaction whose reads all see the same moment.
pub fn in_snapshot<T, E: From<Error>>(
    conn: &mut DbConnection,
    work: impl FnOnce(&mut DbConnection) -> Result<T, E>,
) -> Result<T, E> {
    begin_snapshot(conn)?;
    let outcome = work(conn);
    let ended = end_snapshot(conn);
    // Where both fail, the first failure says more.
    let value = outcome?;
    ended?;
    Ok(value)
}

/// Opens a transaction whose reads all see the same moment.
pub fn begin_snapshot(conn: &mut DbConnection) -> Result<(), Error> {
    let sql = match conn.kind() {
        // The first read fixes the moment, on SQLite and on PostgreSQL.
        Kind::Sqlite => "BEGIN; SELECT 1 FROM alembic_version",
        Kind::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1",
        Kind::Mysql => {
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT"
        }
    };
    Ok(conn.batch_execute(sql)?)
}

/// Ends what [`begin_snapshot`] opened.
pub fn end_snapshot(conn: &mut DbConnection) -> Result<(), Error> {
    Ok(conn.batch_execute("ROLLBACK")?)
}

fn begin(tx: &mut Tx) -> Result<(), Error> {
    match tx.conn() {
        // Without IMMEDIATE, a reader that turns writer fails at once instead of waiting.
        #[cfg(feature = "sqlite")]
        DbConnection::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")?,
        #[cfg(any(feature = "postgres", feature = "mysql"))]
        conn => Manager::begin_transaction(conn)?,
    }
    Ok(())
}

/// Rolls back the innermost transaction or savepoint, if one is open.
pub fn roll_back(tx: &mut Tx) -> Result<(), Error> {
    match Manager::rollback_transaction(tx.conn()) {
        // The database has ended the transaction already, as Galera does with a deadlock.
        Ok(()) | Err(diesel::result::Error::NotInTransaction) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

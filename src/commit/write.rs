//! Writes: in a transaction that runs again after conflicts, or with one statement where a database can.

use std::cell::Cell;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::commit::database::{Db, Inner, Writing};
use crate::commit::pool::{self, Place, Pooled};
use crate::commit::transaction::{self, TransactionError};
use crate::commit::tx::Tx;
use crate::db::{Error, Kind};

/// Something to write.
pub trait Write: Send + 'static {
    /// The result of the write.
    type Output: Send + 'static;
    /// A refusal, or an error of the database.
    type Error: TransactionError + Send + 'static;

    /// The name of the write in the log.
    fn name(&self) -> &'static str;

    /// Does the whole write in a transaction.
    ///
    /// A transaction that meets a conflict runs again from the start, so this does nothing but talk to the
    /// database.
    fn in_transaction(&self, tx: &mut Tx) -> Result<Self::Output, Self::Error>;

    /// Does the write with one statement, which is a transaction by itself and touches the usage of one provider;
    /// `None` if nothing is written. PostgreSQL alone is asked for this, since its statements write to several
    /// tables.
    ///
    /// If the connection ends during the statement, a transaction on another connection looks whether the
    /// statement has written. If it has not, the whole write follows.
    fn in_statement(&self, _: &mut Tx, _: StatementStep) -> Result<Option<Self::Output>, Self::Error> {
        Ok(None)
    }

    /// The thing whose generation the statement compares. Statements of this process with the same lane run one
    /// after the other.
    fn lane(&self) -> Option<&str> {
        None
    }
}

/// The two steps of a write with one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementStep {
    /// The statement itself.
    Write,
    /// The look whether the statement, whose answer is missing, has written.
    Look,
}

/// A closure that writes in a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Plain<F> {
    name: &'static str,
    work: F,
}

impl<F> Plain<F> {
    /// Writes with `work`, which has this name in the log.
    pub fn new<T, E>(name: &'static str, work: F) -> Self
    where
        F: Fn(&mut Tx) -> Result<T, E>,
    {
        Plain { name, work }
    }
}

impl<T, E, F> Write for Plain<F>
where
    T: Send + 'static,
    E: TransactionError + Send + 'static,
    F: Fn(&mut Tx) -> Result<T, E> + Send + 'static,
{
    type Output = T;
    type Error = E;

    fn name(&self) -> &'static str {
        self.name
    }

    fn in_transaction(&self, tx: &mut Tx) -> Result<T, E> {
        (self.work)(tx)
    }
}

/// The result of a write, and a receiver that is told when the follower has seen it.
type Written<T> = (T, Option<oneshot::Receiver<()>>);

/// The place for the result of a write, as soon as it is known.
type Slot<T> = Arc<Mutex<Option<Written<T>>>>;

impl Db {
    /// Writes, and returns once the write is committed and the follower has seen it, or two seconds after the
    /// commit if the database goes away in between.
    pub async fn write<W: Write>(&self, write: W) -> Result<W::Output, W::Error> {
        let refresher = match &self.inner.writing {
            Writing::OneThread(writer) => return writer.write(move |tx| write.in_transaction(tx)).await,
            Writing::Pool(refresher) => refresher,
        };
        let name = write.name();
        let lane = write.lane().filter(|_| self.kind() == Kind::Postgres).map(str::to_owned);
        let inner = Arc::clone(&self.inner);
        let place = inner.pool.queue_up(lane.as_deref()).await?;
        // The thread that commits reads back too, which may take as long as the network's time-outs.
        let written: Slot<W::Output> = Arc::default();
        let slot = Arc::clone(&written);
        let mut task = tokio::task::spawn_blocking(move || {
            let mut place = place;
            let (written, mut tx) = inner.write_pooled(&write, &mut place)?;
            let is_followed = written.1.is_some();
            *slot.lock() = Some(written);
            if is_followed {
                inner.follow(&mut tx);
            }
            Ok::<_, W::Error>(())
        });
        let (value, caught_up) = loop {
            let outcome = tokio::select! {
                biased;
                outcome = &mut task => Some(outcome),
                () = refresher.told_late() => None,
            };
            if let Some(Ok(Err(error))) = outcome {
                return Err(error);
            }
            match written.lock().take() {
                Some(written) => break written,
                None if outcome.is_some() => return Err(W::Error::from(Error::CutShort)),
                None => {}
            }
        };
        if let Some(caught_up) = caught_up
            && !refresher.catches_up(caught_up).await
        {
            log::debug!("{name}: answered before it could be read back");
        }
        Ok(value)
    }
}

impl Inner {
    /// Writes. The result has the connection too, on which the follower can read.
    fn write_pooled<W: Write>(
        &self,
        write: &W,
        place: &mut Place,
    ) -> Result<(Written<W::Output>, Pooled), W::Error> {
        let mut tx = self.pool.connection(place)?;
        let mut lost = None;
        if self.target.kind == Kind::Postgres {
            let outcome = self.write_statement(&mut tx, place, write);
            match outcome {
                Ok(Some(written)) => return Ok((written, tx)),
                Ok(None) => {}
                Err((error, caught_up)) if tx.is_lost() => {
                    drop(tx);
                    // The loss of the first connection says more than the failure to get a second one.
                    tx = self.pool.connection_again(place).map_err(|_| error)?;
                    lost = Some(caught_up);
                }
                Err((error, _)) => return Err(error),
            }
        }
        let work = |tx: &mut Tx| {
            if lost.is_some()
                && let Some(value) = write.in_statement(tx, StatementStep::Look)?
            {
                // The statement may have been committed after it was last read back.
                tx.touch_everything();
                return Ok(value);
            }
            write.in_transaction(tx)
        };
        let ((value, caught_up), tx) = self.write_transaction(write.name(), place, tx, work)?;
        Ok(((value, caught_up.or(lost.flatten())), tx))
    }

    /// Writes with a transaction. If the connection ends before the COMMIT is sent, nothing is written, and the
    /// whole transaction runs again on another connection.
    fn write_transaction<T, E: TransactionError>(
        &self,
        name: &str,
        place: &Place,
        mut tx: Pooled,
        work: impl Fn(&mut Tx) -> Result<T, E>,
    ) -> Result<(Written<T>, Pooled), E> {
        let (caught_up, may_be_written) = (Cell::new(None), Cell::new(false));
        let commit = |tx: &mut Tx| {
            may_be_written.set(true);
            let changes = tx.take_waitlist_changes();
            let outcome = match &self.writing {
                Writing::Pool(refresher) => refresher.commit(tx).map(|receiver| caught_up.set(receiver)),
                Writing::OneThread(_) => transaction::commit(tx),
            };
            // A commit that failed may have happened all the same.
            self.listener.tell(&changes);
            may_be_written.set(!outcome.as_ref().is_err_and(Error::is_retryable));
            outcome
        };
        let mut runs = 1;
        loop {
            let outcome = transaction::retrying(&mut tx, name, &work, commit);
            if !self.pool.note_loss(&mut tx, &outcome) || may_be_written.get() || runs == pool::MAX_RUNS {
                return outcome.map(|value| ((value, caught_up.take()), tx));
            }
            log::debug!("{name}: the connection ended before the commit, running again on another one");
            runs += 1;
            drop(tx);
            tx = self.pool.connection_again(place)?;
        }
    }

    /// Writes without a transaction; `None` if nothing is written, also for a conflict that a transaction may
    /// settle. If something may be written in spite of an error, a receiver comes with the error, which is
    /// told when the follower has seen it.
    #[expect(clippy::type_complexity, reason = "it is read in one place")]
    fn write_statement<W: Write>(
        &self,
        tx: &mut Tx,
        place: &mut Place,
        write: &W,
    ) -> Result<Option<Written<W::Output>>, (W::Error, Option<oneshot::Receiver<()>>)> {
        tx.forget();
        let written = write.in_statement(tx, StatementStep::Write);
        let is_lost = self.pool.note_loss(tx, &written);
        match &written {
            Ok(None) => return Ok(None),
            Err(error) if error.database().is_some_and(Error::is_retryable) => return Ok(None),
            // The statement may have been written, and no answer tells what.
            Err(_) if is_lost => tx.touch_everything(),
            _ => {}
        }
        place.lane = None;
        let caught_up = match &self.writing {
            Writing::Pool(refresher) => refresher.committed(tx, written.is_ok()),
            Writing::OneThread(_) => None,
        };
        match written {
            Ok(value) => Ok(value.map(|value| (value, caught_up))),
            Err(error) => Err((error, caught_up)),
        }
    }

    /// Has the follower read back the commits, on the connection that committed.
    fn follow(&self, tx: &mut Tx) {
        let outcome = match &self.writing {
            Writing::Pool(refresher) => refresher.follow(tx),
            Writing::OneThread(_) => Ok(()),
        };
        self.pool.note_loss(tx, &outcome);
        if let Err(error) = outcome {
            log::warn!("what was written could not be read back at once: {error}");
        }
    }
}

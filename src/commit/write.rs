//! Writes: in a transaction that runs again after conflicts, or by one statement on PostgreSQL.

use std::cell::Cell;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::commit::database::{Db, Inner, Writing};
use crate::commit::pool::{self, Place, Pooled};
use crate::commit::transaction::{self, TransactionError};
use crate::commit::tx::Tx;
use crate::db::{Error, Kind};
use crate::feed::Feed;

/// A write to the database.
pub trait Write: Send + 'static {
    /// The result of the write.
    type Output: Send + 'static;
    /// The error of the write: a refusal, or an error of the database.
    type Error: TransactionError + Send + 'static;

    /// Returns the name of the write for the log.
    fn name(&self) -> &'static str;

    /// Does the whole write in a transaction.
    ///
    /// A transaction that meets a conflict runs again from the start. So this method must have no effect outside the
    /// database.
    fn in_transaction(&self, tx: &mut Tx) -> Result<Self::Output, Self::Error>;

    /// Does as many of these writes as possible in one transaction. Returns a result for each write, in the same order, or
    /// None for a write that has to be done alone and has changed nothing. If this method fails, the transaction is
    /// rolled back, and each write is done alone.
    fn all_in_transaction(writes: &[&Self], _: &mut Tx) -> Result<Vec<Option<Self::Output>>, Self::Error>
    where
        Self: Sized,
    {
        Ok(writes.iter().map(|_| None).collect())
    }

    /// Returns the names of the things that the write changes, for example the uuids of providers, if
    /// [`Self::all_in_transaction`] may do the write. Two transactions with a common name do not run at the same time.
    /// Returns an empty list if the write has to be done alone.
    fn lanes(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Does the write by one statement, which commits by itself and touches the usage of one provider. Returns None
    /// if the statement wrote nothing, and the write then runs in a transaction. Only PostgreSQL can write to several
    /// tables by one statement, so this method is called on PostgreSQL only.
    ///
    /// If the connection ends during the statement, this method runs again on another connection with
    /// [`StatementStep::Look`], and checks whether the statement has written. If the statement has written nothing,
    /// the write runs in a transaction.
    fn in_statement(&self, _: &mut Tx, _: StatementStep) -> Result<Option<Self::Output>, Self::Error> {
        Ok(None)
    }

    /// Returns the name of the thing whose generation the statement compares, for example a provider's uuid.
    /// Statements of this process with the same name run one after the other.
    fn lane(&self) -> Option<&str> {
        None
    }
}

/// The two steps of a write by one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementStep {
    /// Runs the statement.
    Write,
    /// Checks whether the statement has written, since its answer was lost.
    Look,
}

/// A write that consists of a closure, which runs in a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Plain<F> {
    name: &'static str,
    work: F,
}

impl<F> Plain<F> {
    /// Returns a write that runs `work`. `name` is the name of the write in the log.
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

/// The failure of a transaction.
pub(super) struct Failure<E> {
    pub(super) error: E,
    /// True if only the database knows whether the transaction is committed.
    pub(super) may_be_written: bool,
}

impl<E> Failure<E> {
    /// Returns the failure of a transaction that is certainly not committed.
    pub(super) fn of(error: E) -> Self {
        Failure { error, may_be_written: false }
    }
}

/// The result of a write, and a receiver that gets a message when the follower has seen the write.
type Written<T> = (T, Option<oneshot::Receiver<()>>);

/// The place where the writing thread stores the result of a write.
type Slot<T> = Arc<Mutex<Option<Written<T>>>>;

impl Db {
    /// Runs a write. Returns when the write is committed and the follower (the picture of all providers) has seen the
    /// commit. If the follower can't read, returns two seconds after the commit.
    pub async fn write<W: Write>(&self, write: W) -> Result<W::Output, W::Error> {
        let refresher = match &self.inner.writing {
            Writing::OneThread(writer) => return writer.write(move |tx| write.in_transaction(tx)).await,
            Writing::Pool(refresher) => refresher,
        };
        let name = write.name();
        let lane = write.lane().map(str::to_owned);
        let inner = Arc::clone(&self.inner);
        let place = inner.pool.queue_up(lane.as_deref()).await?;
        // The thread that commits also reads for the follower. This read may take as long as the time-outs of
        // the network. So the thread stores the result of the write before this read. If the follower is
        // late, the caller gets the stored result without waiting for the read.
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
    /// Runs a write on a connection of the pool. Also returns this connection, on which the follower (the
    /// picture of all providers) can then read the changes.
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
                    // The loss of the first connection says more than the failure to get another connection.
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
                // The statement may have committed after the follower last read. So the follower must read everything
                // again.
                tx.touch_everything();
                return Ok(value);
            }
            write.in_transaction(tx)
        };
        let ((value, caught_up), tx) = self
            .write_transaction(write.name(), transaction::MAX_RUNS, place, tx, work)
            .map_err(|failure| failure.error)?;
        // The lane is left here, so the next write in the lane does not wait until the follower has read this write.
        place.lane = None;
        Ok(((value, caught_up.or(lost.flatten())), tx))
    }

    /// Runs a write in a transaction, at most `runs` times after conflicts. If the connection ends before the COMMIT is
    /// sent, the database keeps nothing, and the whole transaction runs again on another connection.
    pub(super) fn write_transaction<T, E: TransactionError>(
        &self,
        name: &str,
        runs: u32,
        place: &Place,
        mut tx: Pooled,
        work: impl Fn(&mut Tx) -> Result<T, E>,
    ) -> Result<(Written<T>, Pooled), Failure<E>> {
        let (caught_up, may_be_written) = (Cell::new(None), Cell::new(false));
        let commit = |tx: &mut Tx| {
            may_be_written.set(true);
            let changes = tx.take_waitlist_changes();
            let outcome = match &self.writing {
                Writing::Pool(refresher) => refresher.commit(tx).map(|receiver| caught_up.set(receiver)),
                Writing::OneThread(_) => transaction::commit(tx),
            };
            // A failed COMMIT may have happened all the same. So the listener (the waitlist) learns of the
            // changes in any case.
            self.listener.tell(&changes);
            if !changes.is_empty()
                && let Some(feed) = self.writing.feed()
            {
                feed.hint();
            }
            may_be_written.set(!outcome.as_ref().is_err_and(Error::is_undone));
            outcome
        };
        let work = |tx: &mut Tx| {
            let value = work(tx)?;
            if let Writing::Pool(refresher) = &self.writing {
                refresher.write_entry(tx)?;
            }
            Ok(value)
        };
        let mut connections = 1;
        loop {
            let outcome = transaction::retrying(&mut tx, name, runs, work, commit);
            let is_lost = self.pool.note_loss(&mut tx, &outcome);
            let may_be_written = may_be_written.get();
            let error = match outcome {
                Ok(value) => return Ok(((value, caught_up.take()), tx)),
                Err(error) => error,
            };
            if !is_lost || may_be_written || connections == pool::MAX_RUNS {
                return Err(Failure { error, may_be_written });
            }
            log::debug!("{name}: the connection ended before the commit, running again on another one");
            connections += 1;
            drop(tx);
            tx = self.pool.connection_again(place).map_err(|error| Failure::of(error.into()))?;
        }
    }

    /// Runs a write by one statement. Returns None if nothing was written, for example after a conflict that a
    /// transaction can settle. If the statement may have written despite an error, the error comes with a receiver.
    /// The receiver gets a message when the follower has seen the changes.
    #[expect(clippy::type_complexity, reason = "it is read in one place")]
    fn write_statement<W: Write>(
        &self,
        tx: &mut Tx,
        place: &mut Place,
        write: &W,
    ) -> Result<Option<Written<W::Output>>, (W::Error, Option<oneshot::Receiver<()>>)> {
        tx.forget();
        let feed = self.writing.feed();
        let number = feed.map(Feed::take).transpose().map_err(|error| (error.into(), None))?;
        tx.set_entry(number);
        let written = write.in_statement(tx, StatementStep::Write);
        let is_lost = self.pool.note_loss(tx, &written);
        if let (Some(feed), Some(number)) = (feed, tx.take_entry())
            && !matches!(written, Ok(Some(_)))
        {
            feed.give_back(number, written.as_ref().err().and_then(TransactionError::database));
        }
        match &written {
            Ok(None) => return Ok(None),
            Err(error) if error.database().is_some_and(Error::is_retryable) => return Ok(None),
            // The statement may have written, but its answer is lost. So nobody knows which provider the
            // statement touched.
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

    /// Makes the follower read the commits, on the connection that committed.
    pub(super) fn follow(&self, tx: &mut Tx) {
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

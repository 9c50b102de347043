//! Writing: transactions that run again, what they have touched, and who follows.

mod commits;
mod lanes;
mod pool;
mod refresher;
mod touched;
pub mod transaction;
#[cfg(feature = "sqlite")]
mod writer;

use std::cell::Cell;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub use pool::PoolUse;
pub use touched::{Follower, Listener, Part, Touched, Turns, Tx};
pub use transaction::TransactionError;

use parking_lot::Mutex;
use pool::{Place, Pool, Pooled};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

#[cfg(feature = "sqlite")]
use crate::db::file_lock;
use crate::db::{DatabaseSettings, DbConnection, Error, Kind, Target, connection};
#[cfg(feature = "sqlite")]
use crate::metrics;

/// How long the answer to a commit waits at most for the follower to see it.
const FOLLOWING: Duration = Duration::from_secs(2);

/// The database: cheap to clone, shared by all requests.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    pool: Pool,
    follower: Arc<OnceLock<Arc<dyn Follower>>>,
    listener: Ears,
    writing: Writing,
    /// Told when another process has written.
    others: Arc<Notify>,
    /// Keeps other processes off SQLite's file.
    #[cfg(feature = "sqlite")]
    _lock: Option<file_lock::FileLock>,
}

/// The listener to changes of the waitlist, once there is one.
#[derive(Clone, Default)]
struct Ears(Arc<OnceLock<Arc<dyn Listener>>>);

impl Ears {
    /// Tells what a commit has changed.
    fn tell(&self, turns: &Turns) {
        if let Some(listener) = self.0.get()
            && !turns.is_empty()
        {
            listener.changed(turns);
        }
    }
}

/// How transactions are written.
enum Writing {
    /// SQLite allows one writer at a time, so all writes go through one thread.
    #[cfg(feature = "sqlite")]
    OneThread(writer::Writer),
    /// The servers allow many, each on a connection of the pool.
    Pool(refresher::Refresher),
}

impl Db {
    /// Opens the database that `settings` name; no schema is needed yet.
    pub fn open(settings: &DatabaseSettings) -> Result<Db, Error> {
        let target = Self::target(settings)?;
        #[cfg(feature = "sqlite")]
        let lock = match target.kind {
            Kind::Sqlite => Some(file_lock::FileLock::take(&target.address)?),
            _ => None,
        };
        // One connection is made here, so that a wrong URL is an error of the start, not of the
        // first request; the others are made when they are wanted.
        let first = Tx::new(connection::establish(&target)?);
        let follower = Arc::new(OnceLock::new());
        let listener = Ears::default();
        let others = Arc::new(Notify::new());
        let writing = Writing::start(first, &target, &follower, &listener, &others)
            .map_err(|e| Error::Unusable(format!("cannot start a thread for the database: {e}")))?;
        let pool = Pool::new(target.clone(), settings.pool_size);
        Ok(Db {
            inner: Arc::new(Inner {
                target,
                pool,
                follower,
                listener,
                writing,
                others,
                #[cfg(feature = "sqlite")]
                _lock: lock,
            }),
        })
    }

    /// Sets who follows what is written from now on; there can be one.
    pub fn set_follower(&self, follower: Arc<dyn Follower>) -> Result<(), Error> {
        let taken = |_| Error::Unusable("the database has a follower already".to_owned());
        self.inner.follower.set(follower).map_err(taken)
    }

    /// Sets who hears of changes of the waitlist from now on; there can be one.
    pub fn set_listener(&self, listener: Arc<dyn Listener>) -> Result<(), Error> {
        let taken = |_| Error::Unusable("the database has a listener already".to_owned());
        self.inner.listener.0.set(listener).map_err(taken)
    }

    /// Runs `work` where all its questions get their answers of one moment; blocks the thread.
    pub fn snapshot<T, E: TransactionError>(
        &self,
        work: impl Fn(&mut DbConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let pool = &self.inner.pool;
        let work = |tx: &mut Tx| transaction::in_snapshot(tx.conn(), &work);
        pool.run(pool.any_connection()?, || pool.any_connection(), work)
    }

    /// Which database this is.
    pub fn kind(&self) -> Kind {
        self.inner.target.kind
    }

    /// The number of connections of the pool that are in use. SQLite's writes use another connection.
    pub fn pool_use(&self) -> PoolUse {
        self.inner.pool.usage()
    }

    /// Runs `work` on a connection of its own, on which statements may take as long as they take; blocks the
    /// thread. Nothing that `work` touches is told to the follower.
    pub fn without_limits<T>(&self, work: impl FnOnce(&mut Tx) -> Result<T, Error>) -> Result<T, Error> {
        work(&mut Tx::new(connection::establish(&self.inner.target.without_statement_limit())?))
    }

    /// The database that `settings` name, with remarks on its URL in the log.
    pub fn target(settings: &DatabaseSettings) -> Result<Target, Error> {
        let target = settings.target().map_err(Error::Unusable)?;
        for remark in &target.remarks {
            log::warn!("{remark}");
        }
        Ok(target)
    }

    /// Runs `work`, which only reads, on one of the connections that requests use. It blocks the thread for
    /// about as long as `patience`.
    pub fn probe<T>(
        &self,
        patience: Duration,
        work: impl Fn(&mut DbConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let pool = &self.inner.pool;
        let connection = || pool.connection_in(patience);
        pool.run(connection()?, connection, |tx| work(tx.conn()))
    }

    /// Runs `work`, which only reads, on a connection of its own, off the async threads where it waits
    /// for a server. It runs again where the connection ends under it.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, E> + Send + 'static,
    {
        // A read of SQLite waits for nobody and takes less than the way to another thread and back.
        #[cfg(feature = "sqlite")]
        if self.inner.target.kind == Kind::Sqlite
            && let Some(mut conn) = self.inner.pool.idle_connection()
        {
            metrics::database::CHECKOUT.observe(0.0);
            return work(&mut conn);
        }
        let inner = Arc::clone(&self.inner);
        let place = inner.pool.queue_up(None).await?;
        let task = tokio::task::spawn_blocking(move || {
            let pool = &inner.pool;
            pool.run(pool.connection(&place)?, || pool.connection_again(&place), |tx| work(tx.conn()))
        });
        task.await.unwrap_or_else(|_| Err(E::from(Error::CutShort)))
    }

    /// Runs `work` as [`Self::read`] does, all its questions answered of one moment.
    pub async fn read_snapshot<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, E> + Send + 'static,
    {
        self.read(move |conn| transaction::in_snapshot(conn, &work)).await
    }

    /// For how long the follower has not seen something that is committed; `None` if it has seen all.
    pub fn behind(&self) -> Option<Duration> {
        self.inner.writing.behind_since().map(|since| since.elapsed())
    }

    /// Waits until another process has written, where the database tells, but not for longer than `most`.
    pub async fn written_by_others(&self, most: Duration) {
        // The end of the time is as good a moment.
        let _ = timeout(most, self.inner.others.notified()).await;
    }

    /// Has the follower read what somebody else may have written.
    pub async fn read_again(&self, touched: Touched) {
        match &self.inner.writing {
            Writing::Pool(refresher) => refresher.read_again(touched),
            #[cfg(feature = "sqlite")]
            Writing::OneThread(writer) => writer.read_again(touched).await,
        }
    }

    /// Runs `work` in a transaction and returns once it is committed and the follower has seen it, or
    /// two seconds later: the database may go away in between.
    ///
    /// On a conflict that the server can settle the whole of `work` runs again, so it does nothing
    /// but talk to the database. `name` tells transactions apart in the log.
    pub async fn write<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
        F: Fn(&mut Tx) -> Result<T, E> + Send + 'static,
    {
        self.write_at_once(name, None, |_, _| Ok(None), work).await
    }

    /// Does what `work` does as [`Self::write`], but by `at_once` where that can: it writes with one
    /// statement, its last, which is a transaction by itself and touches the usage of one provider;
    /// `None` says that it wrote nothing. Calls of this process with the same name `compared` compare the
    /// generation of the same thing, and run one after the other.
    ///
    /// Where the connection ends under that statement, `at_once` is told to look, in a transaction on
    /// another connection, whether it was written all the same; where it was not, `work` follows.
    ///
    /// Only PostgreSQL is asked so: its statements write to several tables.
    pub async fn write_at_once<T, E, A, F>(
        &self,
        name: &'static str,
        compared: Option<&str>,
        at_once: A,
        work: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
        A: Fn(&mut Tx, AtOnce) -> Result<Option<T>, E> + Send + 'static,
        F: Fn(&mut Tx) -> Result<T, E> + Send + 'static,
    {
        let refresher = match &self.inner.writing {
            #[cfg(feature = "sqlite")]
            Writing::OneThread(writer) => return writer.write(work).await,
            Writing::Pool(refresher) => refresher,
        };
        let inner = Arc::clone(&self.inner);
        let place = inner.pool.queue_up(compared.filter(|_| self.kind() == Kind::Postgres)).await?;
        // The thread that commits reads back too, which may take as long as the network's time-outs.
        let written: Slot<T> = Arc::default();
        let slot = Arc::clone(&written);
        let mut task = tokio::task::spawn_blocking(move || {
            let mut place = place;
            let (written, mut tx) = inner.write_pooled(name, &mut place, at_once, work)?;
            let is_followed = written.1.is_some();
            *slot.lock() = Some(written);
            if is_followed {
                inner.follow(&mut tx);
            }
            Ok::<_, E>(())
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
                None if outcome.is_some() => return Err(E::from(Error::CutShort)),
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

/// The task of work that writes with a single statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtOnce {
    /// To write.
    Write,
    /// To look whether a statement like this, of which no answer came, has written.
    Look,
}

/// The result of a write, and a receiver that is told when the follower has seen it.
type Written<T> = (T, Option<oneshot::Receiver<()>>);

/// The place for what was written, as soon as that is known.
type Slot<T> = Arc<Mutex<Option<Written<T>>>>;

impl Inner {
    /// Writes; gives the connection back too, on which the follower can read.
    fn write_pooled<T, E: TransactionError>(
        &self,
        name: &str,
        place: &mut Place,
        at_once: impl Fn(&mut Tx, AtOnce) -> Result<Option<T>, E>,
        work: impl Fn(&mut Tx) -> Result<T, E>,
    ) -> Result<(Written<T>, Pooled), E> {
        let mut tx = self.pool.connection(place)?;
        let mut lost = None;
        if self.target.kind == Kind::Postgres {
            let outcome = self.write_statement(&mut tx, place, &at_once);
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
                && let Some(value) = at_once(tx, AtOnce::Look)?
            {
                // The statement may have been committed after it was last read back.
                tx.touch_everything();
                return Ok(value);
            }
            work(tx)
        };
        let ((value, caught_up), tx) = self.write_transaction(name, place, tx, work)?;
        Ok(((value, caught_up.or(lost.flatten())), tx))
    }

    /// Writes with a transaction. Where the connection ends before the COMMIT is sent, nothing is
    /// written, and all of it runs again on another one.
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
            let turns = tx.take_turns();
            let outcome = match &self.writing {
                Writing::Pool(refresher) => refresher.commit(tx).map(|receiver| caught_up.set(receiver)),
                #[cfg(feature = "sqlite")]
                Writing::OneThread(_) => transaction::commit(tx),
            };
            // A commit that failed may have happened all the same.
            self.listener.tell(&turns);
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
    fn write_statement<T, E: TransactionError>(
        &self,
        tx: &mut Tx,
        place: &mut Place,
        at_once: impl Fn(&mut Tx, AtOnce) -> Result<Option<T>, E>,
    ) -> Result<Option<Written<T>>, (E, Option<oneshot::Receiver<()>>)> {
        tx.forget();
        let written = at_once(tx, AtOnce::Write);
        let is_lost = self.pool.note_loss(tx, &written);
        match &written {
            Ok(None) => return Ok(None),
            Err(error) if error.database().is_some_and(Error::is_retryable) => return Ok(None),
            // The statement may have been written, and nobody tells what.
            Err(_) if is_lost => tx.touch_everything(),
            _ => {}
        }
        place.lane = None;
        let caught_up = match &self.writing {
            Writing::Pool(refresher) => refresher.committed(tx, written.is_ok()),
            #[cfg(feature = "sqlite")]
            Writing::OneThread(_) => None,
        };
        match written {
            Ok(value) => Ok(value.map(|value| (value, caught_up))),
            Err(error) => Err((error, caught_up)),
        }
    }

    /// Has the follower read back what is committed, on the connection that committed it.
    fn follow(&self, tx: &mut Tx) {
        let outcome = match &self.writing {
            Writing::Pool(refresher) => refresher.follow(tx),
            #[cfg(feature = "sqlite")]
            Writing::OneThread(_) => Ok(()),
        };
        self.pool.note_loss(tx, &outcome);
        if let Err(error) = outcome {
            log::warn!("what was written could not be read back at once: {error}");
        }
    }
}

impl Writing {
    /// Since when the oldest commit waits that the follower has not seen.
    fn behind_since(&self) -> Option<Instant> {
        match self {
            Writing::Pool(refresher) => refresher.behind_since(),
            #[cfg(feature = "sqlite")]
            Writing::OneThread(writer) => writer.behind_since(),
        }
    }

    /// `first` is a connection that was made to see whether one can be.
    fn start(
        first: Tx,
        target: &Target,
        follower: &Arc<OnceLock<Arc<dyn Follower>>>,
        #[cfg_attr(not(feature = "sqlite"), expect(unused_variables))] listener: &Ears,
        #[cfg_attr(not(feature = "sqlite"), expect(unused_variables))] others: &Arc<Notify>,
    ) -> std::io::Result<Writing> {
        let follower = Arc::clone(follower);
        match target.kind {
            #[cfg(feature = "sqlite")]
            Kind::Sqlite => {
                let writer = writer::Writer::start(
                    first,
                    target.clone(),
                    follower,
                    listener.clone(),
                    Arc::clone(others),
                )?;
                Ok(Writing::OneThread(writer))
            }
            _ => {
                drop(first);
                Ok(Writing::Pool(refresher::Refresher::start(target.clone(), follower)?))
            }
        }
    }
}

//! Opens the database and reads from it. The file `write.rs` has the writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::commit::file_lock;
use crate::commit::follower::{Follower, FollowerSlot, Listener, ListenerSlot};
use crate::commit::pool::{Pool, PoolUse};
use crate::commit::refresher::Refresher;
use crate::commit::transaction::{self, TransactionError};
use crate::commit::tx::Tx;
use crate::commit::writer::Writer;
use crate::db::establish::establish;
use crate::db::{DatabaseSettings, DbConnection, DbTarget, Error, ForeignWriters, Kind};
use crate::feed::{Feed, Reporter, Touched};
use crate::metrics;

/// A handle of the open database. All requests share the database, and a clone of the handle is cheap.
#[derive(Clone)]
pub struct Db {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) target: DbTarget,
    pub(super) pool: Pool,
    follower: FollowerSlot,
    pub(super) listener: ListenerSlot,
    pub(super) writing: Writing,
    /// Notified when another process has written.
    others: Arc<Notify>,
    /// True if triggers mark the writes of programs that are not replicas.
    reads_marks: bool,
    /// The lock that keeps other processes away from SQLite's file. None for the other databases.
    _lock: Option<file_lock::FileLock>,
}

/// How transactions are written: by one thread, or by many connections at the same time.
pub(super) enum Writing {
    /// SQLite allows one writer at a time, so all writes run on one thread.
    OneThread(Writer),
    /// On PostgreSQL and MariaDB, each write runs on a connection of the pool. After the commits, the refresher
    /// updates the picture of all providers.
    Pool(Refresher),
}

impl Db {
    /// Opens the database that `settings` name. The database may still lack the schema.
    pub fn open(settings: &DatabaseSettings) -> Result<Db, Error> {
        let target = Self::target(settings)?;
        let lock = match target.kind {
            Kind::Sqlite => Some(file_lock::FileLock::take(&target.path)?),
            _ => None,
        };
        // The first connection is opened here. So a wrong URL is an error at the start of the service, and not an
        // error of the first request.
        let first = Tx::new(establish(&target)?);
        let follower = FollowerSlot::default();
        let listener = ListenerSlot::default();
        let others = Arc::new(Notify::new());
        let max_staleness = Duration::from_secs_f64(settings.max_staleness_seconds);
        let writing = Writing::start(first, &target, &follower, &listener, &others, max_staleness)
            .map_err(|e| Error::Unusable(format!("cannot start a thread for the database: {e}")))?;
        let pool = Pool::new(target.clone(), settings);
        let reads_marks = settings.foreign_writers == ForeignWriters::Triggers;
        let inner = Inner { target, pool, follower, listener, writing, others, reads_marks, _lock: lock };
        Ok(Db { inner: Arc::new(inner) })
    }

    /// Sets the follower (the picture of all providers in memory), which learns of all later writes. Returns an error
    /// if there is a follower already.
    pub fn set_follower(&self, follower: Arc<dyn Follower>) -> Result<(), Error> {
        let taken = |_| Error::Unusable("the database has a follower already".to_owned());
        self.inner.follower.set(follower).map_err(taken)
    }

    /// Sets the listener, which learns of all later changes of the waitlist. Returns an error if there is a listener
    /// already.
    pub fn set_listener(&self, listener: Arc<dyn Listener>) -> Result<(), Error> {
        if self.inner.listener.fill(listener) {
            return Ok(());
        }
        Err(Error::Unusable("the database has a listener already".to_owned()))
    }

    /// Runs `work` so that all reads see the database as of one moment. Blocks the thread.
    pub fn snapshot<T, E: TransactionError>(
        &self,
        work: impl Fn(&mut DbConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let pool = &self.inner.pool;
        let work = |tx: &mut Tx| transaction::in_snapshot(tx.conn(), &work);
        pool.run(pool.any_connection()?, || pool.any_connection(), work)
    }

    /// Returns the kind of the database.
    pub fn kind(&self) -> Kind {
        self.inner.target.kind
    }

    /// Returns how many connections of the pool are in use and idle, and the largest number of connections.
    /// SQLite's writer has a connection outside the pool.
    pub fn pool_use(&self) -> PoolUse {
        self.inner.pool.usage()
    }

    /// Registers this process as a replica of the service; blocks the thread. From then on each write leaves an entry
    /// in the change feed, and the follower can see the transactions of other replicas. Does nothing on SQLite, which
    /// has a single process.
    pub fn join_replicas(&self) -> Result<(), Error> {
        match &self.inner.writing {
            Writing::Pool(refresher) => refresher.join(self.inner.target.clone(), self.inner.reads_marks),
            Writing::OneThread(_) => Ok(()),
        }
    }

    /// Makes this replica publish the facts that `reporter` returns, for `allotment status`. Does nothing on SQLite,
    /// which has no replicas. The database keeps `reporter`, which must therefore keep no handle of the database.
    pub fn publish(&self, reporter: Reporter) {
        if let Writing::Pool(refresher) = &self.inner.writing {
            refresher.set_reporter(reporter);
        }
    }

    /// Tells the other replicas that this replica stops. Blocks the thread for a second at most.
    pub fn leave_replicas(&self) {
        if let Some(feed) = self.inner.writing.feed() {
            feed.leave();
        }
    }

    /// The number of other replicas that run. None if the replicas of the database are not counted, as on SQLite.
    pub fn other_replicas(&self) -> Option<usize> {
        Some(self.inner.writing.feed()?.running())
    }

    /// Returns false if this replica has not been registered for some seconds, or has not read the changes by other
    /// replicas.
    pub fn is_current(&self) -> bool {
        self.inner.writing.feed().is_none_or(Feed::is_current)
    }

    /// Makes a thread look at the change feed, at short intervals while requests wait for tickets. Called when a request
    /// begins to wait.
    pub fn look_at_feed(&self) {
        if let Writing::Pool(refresher) = &self.inner.writing {
            refresher.wake();
        }
    }

    /// Waits until the follower has seen all transactions of other replicas that have committed by now. Returns at
    /// once if the changes by other replicas were read within `database.max_staleness_seconds`.
    pub async fn see_others(&self) -> Result<(), Error> {
        match &self.inner.writing {
            Writing::Pool(refresher) => refresher.see_others().await,
            Writing::OneThread(_) => Ok(()),
        }
    }

    /// Runs `work` on a new connection outside the pool, without a time limit for statements. Blocks the
    /// thread. The follower (the picture of all providers) does not learn what `work` writes.
    pub fn without_limits<T>(&self, work: impl FnOnce(&mut Tx) -> Result<T, Error>) -> Result<T, Error> {
        work(&mut Tx::new(establish(&self.inner.target.without_statement_limit())?))
    }

    /// Returns the database that `settings` name. Logs the warnings about the URL.
    pub fn target(settings: &DatabaseSettings) -> Result<DbTarget, Error> {
        let target = settings.target().map_err(Error::Unusable)?;
        for remark in &target.remarks {
            log::warn!("{remark}");
        }
        Ok(target)
    }

    /// Runs `work`, which only reads, on a connection of the pool. Blocks the thread. Returns an error if no
    /// connection is free within about `patience`.
    pub fn probe<T>(
        &self,
        patience: Duration,
        work: impl Fn(&mut DbConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let pool = &self.inner.pool;
        let connection = || pool.connection_in(patience);
        pool.run(connection()?, connection, |tx| work(tx.conn()))
    }

    /// Runs `work`, which only reads, on a connection of the pool. Runs `work` again on another connection if the
    /// connection ends.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, E> + Send + 'static,
    {
        // A read of SQLite waits for no server, and takes less time than a change to another thread. So the
        // read runs on this thread.
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

    /// Runs `work` as [`Self::read`] does, but all reads see the database as of one moment.
    pub async fn read_snapshot<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, E> + Send + 'static,
    {
        self.read(move |conn| transaction::in_snapshot(conn, &work)).await
    }

    /// Returns for how long the oldest commit has been waiting until the follower (the picture of all
    /// providers) reads its changes. Returns None if the follower has seen all commits.
    pub fn behind(&self) -> Option<Duration> {
        self.inner.writing.behind_since().map(|since| since.elapsed())
    }

    /// Waits until another process has written, but at most for the time `most`. Only SQLite reports the
    /// writes of other processes. With the other databases, this method always waits for the time `most`.
    pub async fn written_by_others(&self, most: Duration) {
        // The caller acts in the same way after a timeout, so the result is ignored.
        let _ = timeout(most, self.inner.others.notified()).await;
    }

    /// Makes the follower (the picture of all providers) read the parts of the database that another process
    /// may have changed.
    pub async fn read_again(&self, touched: Touched) {
        match &self.inner.writing {
            Writing::Pool(refresher) => refresher.read_again(touched),
            Writing::OneThread(writer) => writer.read_again(touched).await,
        }
    }
}

impl Writing {
    /// This replica's part in the change feed. None before the replica is registered, and on SQLite.
    pub(super) fn feed(&self) -> Option<&Feed> {
        match self {
            Writing::Pool(refresher) => refresher.feed(),
            Writing::OneThread(_) => None,
        }
    }

    /// Returns the time of the oldest commit that the follower has not seen. Returns None if there is no such commit.
    pub(super) fn behind_since(&self) -> Option<Instant> {
        match self {
            Writing::Pool(refresher) => refresher.behind_since(),
            Writing::OneThread(writer) => writer.behind_since(),
        }
    }

    /// Starts the threads for writing. `first` is the connection that tested the URL.
    fn start(
        first: Tx,
        target: &DbTarget,
        follower: &FollowerSlot,
        listener: &ListenerSlot,
        others: &Arc<Notify>,
        max_staleness: Duration,
    ) -> std::io::Result<Writing> {
        let follower = Arc::clone(follower);
        match target.kind {
            Kind::Sqlite => {
                let writer =
                    Writer::start(first, target.clone(), follower, listener.clone(), Arc::clone(others))?;
                Ok(Writing::OneThread(writer))
            }
            _ => {
                drop(first);
                Ok(Writing::Pool(Refresher::start(
                    target.clone(),
                    follower,
                    listener.clone(),
                    max_staleness,
                )?))
            }
        }
    }
}

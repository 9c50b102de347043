//! The database: opens it and reads from it. `write.rs` writes to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::commit::follower::{Follower, FollowerSlot, Listener, ListenerSlot};
use crate::commit::pool::{Pool, PoolUse};
use crate::commit::refresher::Refresher;
use crate::commit::touched::Touched;
use crate::commit::transaction::{self, TransactionError};
use crate::commit::tx::Tx;
use crate::commit::writer::Writer;
use crate::db::establish::establish;
use crate::db::{DatabaseSettings, DbConnection, DbTarget, Error, Kind, file_lock};
use crate::metrics;

/// The database: cheap to clone, shared by all requests.
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
    /// Told when another process has written.
    others: Arc<Notify>,
    /// Keeps other processes off SQLite's file.
    _lock: Option<file_lock::FileLock>,
}

/// The way of transactions to the database.
pub(super) enum Writing {
    /// SQLite allows one writer at a time, so all writes go through one thread.
    OneThread(Writer),
    /// The servers allow many writers, each on a connection of the pool.
    Pool(Refresher),
}

impl Db {
    /// Opens the database that `settings` name; no schema is needed yet.
    pub fn open(settings: &DatabaseSettings) -> Result<Db, Error> {
        let target = Self::target(settings)?;
        let lock = match target.kind {
            Kind::Sqlite => Some(file_lock::FileLock::take(&target.address)?),
            _ => None,
        };
        // One connection is made here, so that a wrong URL is an error of the start, not of the first request.
        let first = Tx::new(establish(&target)?);
        let follower = FollowerSlot::default();
        let listener = ListenerSlot::default();
        let others = Arc::new(Notify::new());
        let writing = Writing::start(first, &target, &follower, &listener, &others)
            .map_err(|e| Error::Unusable(format!("cannot start a thread for the database: {e}")))?;
        let pool = Pool::new(target.clone(), settings.pool_size);
        Ok(Db { inner: Arc::new(Inner { target, pool, follower, listener, writing, others, _lock: lock }) })
    }

    /// Sets the follower of all later writes. There can be one follower.
    pub fn set_follower(&self, follower: Arc<dyn Follower>) -> Result<(), Error> {
        let taken = |_| Error::Unusable("the database has a follower already".to_owned());
        self.inner.follower.set(follower).map_err(taken)
    }

    /// Sets the listener to all later changes of the waitlist. There can be one listener.
    pub fn set_listener(&self, listener: Arc<dyn Listener>) -> Result<(), Error> {
        if self.inner.listener.fill(listener) {
            return Ok(());
        }
        Err(Error::Unusable("the database has a listener already".to_owned()))
    }

    /// Runs `work`, whose reads all see the same moment; blocks the thread.
    pub fn snapshot<T, E: TransactionError>(
        &self,
        work: impl Fn(&mut DbConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let pool = &self.inner.pool;
        let work = |tx: &mut Tx| transaction::in_snapshot(tx.conn(), &work);
        pool.run(pool.any_connection()?, || pool.any_connection(), work)
    }

    /// The kind of the database.
    pub fn kind(&self) -> Kind {
        self.inner.target.kind
    }

    /// The number of connections of the pool that are in use. SQLite's writer has a connection of its own.
    pub fn pool_use(&self) -> PoolUse {
        self.inner.pool.usage()
    }

    /// Runs `work` on a connection of its own without a time limit for statements; blocks the thread. The follower
    /// is not told of the touched parts.
    pub fn without_limits<T>(&self, work: impl FnOnce(&mut Tx) -> Result<T, Error>) -> Result<T, Error> {
        work(&mut Tx::new(establish(&self.inner.target.without_statement_limit())?))
    }

    /// The database that `settings` name, with remarks on its URL in the log.
    pub fn target(settings: &DatabaseSettings) -> Result<DbTarget, Error> {
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

    /// Runs `work`, which only reads, on a connection of its own. Work that waits for a server runs off the async
    /// threads. It runs again if its connection ends.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, E> + Send + 'static,
    {
        // A read of SQLite waits for no other connection, and takes less time than a change of threads.
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

    /// Runs `work` as [`Self::read`] does. All its reads see the same moment.
    pub async fn read_snapshot<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, E> + Send + 'static,
    {
        self.read(move |conn| transaction::in_snapshot(conn, &work)).await
    }

    /// For how long the oldest commit waits for the follower; `None` if the follower has seen all commits.
    pub fn behind(&self) -> Option<Duration> {
        self.inner.writing.behind_since().map(|since| since.elapsed())
    }

    /// Waits until another process has written, if the database tells that, but at most for `most`.
    pub async fn written_by_others(&self, most: Duration) {
        // The caller does the same after the time.
        let _ = timeout(most, self.inner.others.notified()).await;
    }

    /// Has the follower read the parts that another process may have written.
    pub async fn read_again(&self, touched: Touched) {
        match &self.inner.writing {
            Writing::Pool(refresher) => refresher.read_again(touched),
            Writing::OneThread(writer) => writer.read_again(touched).await,
        }
    }
}

impl Writing {
    /// The time of the oldest commit that the follower has not seen.
    pub(super) fn behind_since(&self) -> Option<Instant> {
        match self {
            Writing::Pool(refresher) => refresher.behind_since(),
            Writing::OneThread(writer) => writer.behind_since(),
        }
    }

    /// Starts the threads for writing. `first` is a connection that a test of the URL left.
    fn start(
        first: Tx,
        target: &DbTarget,
        follower: &FollowerSlot,
        listener: &ListenerSlot,
        others: &Arc<Notify>,
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
                Ok(Writing::Pool(Refresher::start(target.clone(), follower)?))
            }
        }
    }
}

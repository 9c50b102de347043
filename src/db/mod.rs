//! What differs between databases, and nothing else: connections, transactions, migrations, types.

#[cfg(any(feature = "sqlite", feature = "mysql"))]
pub mod among;
mod connection;
mod error;
pub mod functions;
mod lanes;
mod migrations;
mod refresher;
pub mod schema;
pub mod statement;
mod touched;
mod transaction;
#[cfg(feature = "sqlite")]
mod writer;

use std::cell::Cell;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub(crate) use connection::on_backend;
pub use connection::{DbConnection, Kind, MultiBackend, Target};
pub use error::Error;
pub use touched::{Follower, Listener, Part, Touched, Turns, Tx};
pub use transaction::TransactionError;

use connection::Manager;
use lanes::{Lane, Lanes};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::config::DatabaseSettings;
use crate::metrics;

/// How many values one question's `IN (…)` has at most: SQLite takes 32,766 binds, and short lists
/// plan faster.
pub const LONGEST_LIST: usize = 1_000;

/// How long a request waits for a free connection.
const POOL_TIMEOUT: Duration = Duration::from_secs(20);

/// The database: cheap to clone, shared by all requests.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    pool: r2d2::Pool<Manager>,
    /// As many as there may be connections.
    turns: Arc<Semaphore>,
    lanes: Lanes,
    follower: Arc<OnceLock<Arc<dyn Follower>>>,
    listener: Ears,
    writing: Writing,
}

/// Who listens to changes of the waitlist, once somebody does.
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
        let target: Target = settings.url.parse().map_err(Error::Unusable)?;
        // One connection is made here, so that a wrong URL is an error of the start, not of the
        // first request; the others are made when they are wanted.
        let first = Tx::new(connection::establish(&target)?);
        let follower = Arc::new(OnceLock::new());
        let listener = Ears::default();
        let writing = Writing::start(first, &target, &follower, &listener)
            .map_err(|e| Error::Unusable(format!("cannot start a thread for the database: {e}")))?;
        let pool = r2d2::Pool::builder()
            .max_size(settings.pool_size)
            .min_idle(Some(0))
            .test_on_check_out(false)
            .connection_timeout(POOL_TIMEOUT)
            .error_handler(Box::new(LogErrors))
            .build_unchecked(Manager::new(target.clone()));
        let turns = Arc::new(Semaphore::new(settings.pool_size as usize));
        let lanes = Lanes::new();
        Ok(Db { inner: Arc::new(Inner { target, pool, turns, lanes, follower, listener, writing }) })
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
    pub fn snapshot<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&mut DbConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut conn = self.inner.pool.get().map_err(Error::from)?;
        transaction::in_snapshot(&mut conn, work)
    }

    /// Which database this is.
    pub fn kind(&self) -> Kind {
        self.inner.target.kind
    }

    /// How many connections of the pool are in use. What SQLite writes goes over another one.
    pub fn pool_use(&self) -> PoolUse {
        let state = self.inner.pool.state();
        PoolUse {
            in_use: state.connections.saturating_sub(state.idle_connections),
            idle: state.idle_connections,
            max: self.inner.pool.max_size(),
        }
    }

    /// Brings the schema and the standard names up to date; returns how many migrations ran.
    pub fn migrate(&self) -> Result<usize, Error> {
        migrations::migrate(&mut *self.inner.pool.get()?)
    }

    /// The migrations that have not run on this database.
    pub fn pending_migrations(&self) -> Result<Vec<String>, Error> {
        migrations::pending(&mut *self.inner.pool.get()?)
    }

    /// Looks whether the database answers, on a connection made for that, and how many migrations
    /// are pending; blocks the thread.
    pub fn probe(&self) -> Result<usize, Error> {
        let mut conn = connection::establish(&self.inner.target)?;
        Ok(migrations::pending(&mut conn)?.len())
    }

    /// Runs `work`, which only reads, on a connection of its own, off the async threads where it waits
    /// for a server.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, E> + Send + 'static,
    {
        // A read of SQLite waits for nobody and takes less than the way to another thread and back.
        #[cfg(feature = "sqlite")]
        if self.inner.target.kind == Kind::Sqlite
            && let Some(mut conn) = self.inner.pool.try_get()
        {
            metrics::database::CHECKOUT.observe(0.0);
            return work(&mut conn);
        }
        let inner = Arc::clone(&self.inner);
        let place = inner.queue_up(None).await?;
        let task = tokio::task::spawn_blocking(move || {
            let mut conn = inner.connection(&place)?;
            work(&mut conn)
        });
        task.await.unwrap_or_else(|_| Err(E::from(Error::CutShort)))
    }

    /// Runs `work` as [`Self::read`] does, all its questions answered of one moment.
    pub async fn read_snapshot<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, E> + Send + 'static,
    {
        self.read(move |conn| transaction::in_snapshot(conn, work)).await
    }

    /// Runs `work` in a transaction and returns once it is committed and the follower has seen it.
    ///
    /// On a conflict that the server can settle the whole of `work` runs again, so it does nothing
    /// but talk to the database. `name` tells transactions apart in the log.
    pub async fn write<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
        F: Fn(&mut Tx) -> Result<T, E> + Send + 'static,
    {
        self.write_at_once(name, None, |_| Ok(None), work).await
    }

    /// Does what `work` does as [`Self::write`], but by `at_once` where that can: it writes with one
    /// statement, its last, which is a transaction by itself and touches the usage of one provider;
    /// `None` says that it wrote nothing. Those of this process that compare the generation of the same
    /// thing, by the name `compared`, do so one after the other.
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
        A: FnOnce(&mut Tx) -> Result<Option<T>, E> + Send + 'static,
        F: Fn(&mut Tx) -> Result<T, E> + Send + 'static,
    {
        #[cfg(feature = "sqlite")]
        if let Writing::OneThread(writer) = &self.inner.writing {
            return writer.write(work).await;
        }
        let inner = Arc::clone(&self.inner);
        let place = inner.queue_up(compared.filter(|_| self.kind() == Kind::Postgres)).await?;
        let task = tokio::task::spawn_blocking(move || inner.write_pooled(name, place, at_once, work));
        let (value, caught_up) = task.await.unwrap_or_else(|_| Err(E::from(Error::CutShort)))?;
        if let Some(caught_up) = caught_up {
            // The refresher ends only with the service; then nobody searches any more.
            let _ = caught_up.await;
        }
        Ok(value)
    }
}

/// What was written, and who tells when the follower has seen it.
type Written<T> = (T, Option<oneshot::Receiver<()>>);

/// The right to a connection, for as long as this lives.
struct Place {
    _permit: OwnedSemaphorePermit,
    lane: Option<Lane>,
    /// Since when a connection was waited for.
    since: Instant,
}

impl Inner {
    /// Waits until a connection is free for the caller, and before that for the lane it wants, if any:
    /// who can do nothing yet keeps no connection from others.
    ///
    /// In the pool itself, each of those who wait would hold a thread, and who has waited longest
    /// would not be the first to be served.
    async fn queue_up(&self, lane: Option<&str>) -> Result<Place, Error> {
        let place = async {
            let lane = match lane {
                Some(name) => Some(self.lanes.enter(name).await),
                None => None,
            };
            let since = Instant::now();
            // Nobody closes it.
            let permit = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Error::CutShort)?;
            Ok(Place { _permit: permit, lane, since })
        };
        match tokio::time::timeout(POOL_TIMEOUT, place).await {
            Ok(place) => place,
            Err(_) => {
                metrics::database::TIMEOUTS.inc();
                Err(Error::Busy(POOL_TIMEOUT))
            }
        }
    }

    /// A connection for one who has a place; it may have to be made, in what is left of the time.
    fn connection(&self, place: &Place) -> Result<r2d2::PooledConnection<Manager>, Error> {
        let left = POOL_TIMEOUT.saturating_sub(place.since.elapsed());
        let conn = self.pool.get_timeout(left).inspect_err(|_| metrics::database::TIMEOUTS.inc())?;
        metrics::database::CHECKOUT.observe(place.since.elapsed().as_secs_f64());
        Ok(conn)
    }

    fn write_pooled<T, E: TransactionError>(
        &self,
        name: &str,
        mut place: Place,
        at_once: impl FnOnce(&mut Tx) -> Result<Option<T>, E>,
        work: impl Fn(&mut Tx) -> Result<T, E>,
    ) -> Result<Written<T>, E> {
        let mut tx = self.connection(&place)?;
        if self.target.kind == Kind::Postgres
            && let Some(written) = self.write_statement(&mut tx, &mut place.lane, at_once)?
        {
            return Ok(written);
        }
        let caught_up = Cell::new(None);
        let commit = |tx: &mut Tx| {
            let turns = tx.take_turns();
            let outcome = match &self.writing {
                Writing::Pool(refresher) => refresher.commit(tx).map(|receiver| caught_up.set(receiver)),
                #[cfg(feature = "sqlite")]
                Writing::OneThread(_) => transaction::commit(tx),
            };
            // A commit that failed may have happened all the same.
            self.listener.tell(&turns);
            outcome
        };
        let value = transaction::retrying(&mut tx, name, work, commit)?;
        Ok((value, caught_up.take()))
    }

    /// Writes without a transaction; `None` if nothing is written, also for a conflict that a
    /// transaction may settle.
    fn write_statement<T, E: TransactionError>(
        &self,
        tx: &mut Tx,
        lane: &mut Option<Lane>,
        at_once: impl FnOnce(&mut Tx) -> Result<Option<T>, E>,
    ) -> Result<Option<Written<T>>, E> {
        tx.forget();
        let written = at_once(tx);
        match &written {
            Ok(None) => return Ok(None),
            Err(error) if error.database().is_some_and(Error::is_retryable) => return Ok(None),
            // It may have been written, and nobody tells what.
            Err(_) if connection::is_broken(tx) => tx.touch_everything(),
            _ => {}
        }
        *lane = None;
        let caught_up = match &self.writing {
            Writing::Pool(refresher) => refresher.committed(tx, written.is_ok()),
            #[cfg(feature = "sqlite")]
            Writing::OneThread(_) => None,
        };
        Ok(written?.map(|value| (value, caught_up)))
    }
}

impl Writing {
    /// `first` is a connection that was made to see whether one can be.
    fn start(
        first: Tx,
        target: &Target,
        follower: &Arc<OnceLock<Arc<dyn Follower>>>,
        #[cfg_attr(not(feature = "sqlite"), expect(unused_variables))] listener: &Ears,
    ) -> std::io::Result<Writing> {
        let follower = Arc::clone(follower);
        match target.kind {
            #[cfg(feature = "sqlite")]
            Kind::Sqlite => {
                let writer = writer::Writer::start(first, target.clone(), follower, listener.clone())?;
                Ok(Writing::OneThread(writer))
            }
            _ => {
                drop(first);
                Ok(Writing::Pool(refresher::Refresher::start(target.clone(), follower)?))
            }
        }
    }
}

/// How many connections of a pool there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Those that work is done on.
    pub in_use: u32,
    /// Those that wait for work.
    pub idle: u32,
    /// How many there may be in all.
    pub max: u32,
}

/// Puts the pool's troubles with new connections on the log.
#[derive(Debug)]
struct LogErrors;

impl r2d2::HandleError<Error> for LogErrors {
    fn handle_error(&self, error: Error) {
        log::warn!("database pool: {error}");
    }
}

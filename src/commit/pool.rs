//! The pool of database connections. Requests get connections in the order of their arrival.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::lanes::{Lane, Lanes};
use crate::commit::transaction::TransactionError;
use crate::commit::tx::Tx;
use crate::db::connection::{close_statements, is_broken, ping};
use crate::db::establish::establish;
use crate::db::{DatabaseSettings, DbTarget, Error, Kind};
use crate::metrics;

/// The time that a request may wait for another connection if its connection ended during the work. The
/// request may wait for this time even if the request has already used up the time limit of the pool.
const PATIENCE_AGAIN: Duration = Duration::from_secs(5);

/// The largest number of runs of the same work. Work runs again if its connection ends.
pub const MAX_RUNS: u32 = 3;

/// A connection that has been idle for this time is tested before use.
const TEST_AFTER: Duration = Duration::from_secs(1);

/// The time of a single wait for a connection in r2d2 (the library that manages the pool). r2d2 wakes no waiter when
/// a broken connection leaves the pool, so a waiter asks r2d2 again after this time.
const SLICE: Duration = Duration::from_millis(250);

/// The log repeats the same error about new connections only after this time.
const LOG_AGAIN: Duration = Duration::from_secs(10);

/// Opens and tests connections for r2d2.
pub struct Manager {
    target: DbTarget,
}

impl Manager {
    /// Returns a manager of connections to `target`.
    pub fn new(target: DbTarget) -> Self {
        Manager { target }
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = Tx;
    type Error = Error;

    fn connect(&self) -> Result<Tx, Error> {
        let mut tx = Tx::new(establish(&self.target)?);
        tx.refuse_stray_writes()?;
        Ok(tx)
    }

    fn is_valid(&self, conn: &mut Tx) -> Result<(), Error> {
        Ok(ping(conn)?)
    }

    /// Returns true if r2d2 must drop the connection. r2d2 calls this method when a connection returns to the pool.
    fn has_broken(&self, conn: &mut Tx) -> bool {
        conn.rest();
        std::thread::panicking() || conn.is_lost() || is_broken(conn)
    }
}

/// A connection of the pool. The connection returns to the pool when this value is dropped.
pub type Pooled = r2d2::PooledConnection<Manager>;

/// The pool of the service's connections.
pub struct Pool {
    pool: r2d2::Pool<Manager>,
    target: DbTarget,
    /// One permit for each connection that the pool may have.
    places: Arc<Semaphore>,
    /// The longest time that a request waits for a connection.
    patience: Duration,
    lanes: Lanes,
    /// When a connection was last found to have ended.
    outage: Mutex<Option<Instant>>,
}

/// The right to use one connection. The right ends when this value is dropped.
pub struct Place {
    _permit: OwnedSemaphorePermit,
    /// The lane (see [`Lanes`]), if the caller asked for a lane.
    pub lane: Option<Lane>,
    /// When the wait for a connection began.
    since: Instant,
}

/// How many connections of the pool are in use and idle, and the largest number of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// The number of connections in use.
    pub in_use: u32,
    /// The number of idle connections.
    pub idle: u32,
    /// The largest number of connections.
    pub max: u32,
}

impl Pool {
    /// Returns a pool of connections to `target`. The pool opens connections when requests need them.
    pub fn new(target: DbTarget, settings: &DatabaseSettings) -> Pool {
        let size = settings.most_connections();
        let recycle = Duration::from_secs(settings.connection_recycle_seconds);
        let pool = r2d2::Pool::builder()
            .max_size(size)
            .max_lifetime(Some(recycle).filter(|age| !age.is_zero()))
            .min_idle(Some(0))
            .test_on_check_out(false)
            // r2d2 pauses at most half of this time between two attempts to connect. So r2d2 notices soon that the
            // database is back. No caller waits for this time.
            .connection_timeout(2 * SLICE)
            .error_handler(Box::new(LogErrors::default()))
            .build_unchecked(Manager::new(target.clone()));
        let places = Arc::new(Semaphore::new(size as usize));
        let patience = Duration::from_secs(settings.pool_timeout_seconds);
        Pool { pool, target, places, patience, lanes: Lanes::default(), outage: Mutex::default() }
    }

    /// Returns the longest time that a request waits for a connection.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Returns how many connections are in use and idle, and the largest number of connections.
    pub fn usage(&self) -> PoolUse {
        let state = self.pool.state();
        PoolUse {
            in_use: state.connections.saturating_sub(state.idle_connections),
            idle: state.idle_connections,
            max: self.pool.max_size(),
        }
    }

    /// Waits for a place, which is the right to use a connection. If `lane` is given, waits for that lane (see
    /// [`Lanes`]) first. So a request that waits for a lane keeps no connection from other requests. Returns
    /// [`Error::Busy`] after `database.pool_timeout_seconds`.
    ///
    /// r2d2 can also wait for a connection. But r2d2 would block a thread for each waiter, and would not serve the
    /// waiters in the order of their arrival.
    pub async fn queue_up(&self, lane: Option<&str>) -> Result<Place, Error> {
        let place = async {
            let lane = match lane {
                Some(name) => Some(self.lanes.enter(name).await),
                None => None,
            };
            let since = Instant::now();
            // This error never occurs, since the semaphore is never closed.
            let permit = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Error::CutShort)?;
            Ok(Place { _permit: permit, lane, since })
        };
        match tokio::time::timeout(self.patience, place).await {
            Ok(place) => place,
            Err(_) => {
                metrics::database::TIMEOUTS.inc();
                Err(Error::Busy(self.patience))
            }
        }
    }

    /// Returns a connection for a caller that has a place. If no connection is idle, opens a new connection. Blocks
    /// the thread, at most until `database.pool_timeout_seconds` after the wait for the place began.
    pub fn connection(&self, place: &Place) -> Result<Pooled, Error> {
        let conn = self.alive(place.since + self.patience, false)?;
        metrics::database::CHECKOUT.observe(place.since.elapsed().as_secs_f64());
        Ok(conn)
    }

    /// Returns another connection for a caller whose connection has ended during the work. Other connections
    /// may have ended at the same time. So each connection that was open at that time is tested before use.
    pub fn connection_again(&self, place: &Place) -> Result<Pooled, Error> {
        self.alive((place.since + self.patience).max(Instant::now() + PATIENCE_AGAIN), true)
    }

    /// Returns a connection for a caller that has no place (the right from [`Self::queue_up`]). Blocks the
    /// thread for `patience` at most.
    pub fn connection_in(&self, patience: Duration) -> Result<Pooled, Error> {
        self.alive(Instant::now() + patience, false)
    }

    /// Returns a connection for a caller that has no place (the right from [`Self::queue_up`]). Blocks the
    /// thread for `database.pool_timeout_seconds` at most.
    pub fn any_connection(&self) -> Result<Pooled, Error> {
        self.connection_in(self.patience)
    }

    /// Returns an idle connection. Returns None if no connection is idle.
    pub fn idle_connection(&self) -> Option<Pooled> {
        self.pool.try_get()
    }

    /// Runs `work`, which only reads, on `conn`. If the connection ends during the work, or if its server waits for too
    /// long, `work` runs again on a connection from `another`. There are at most [`MAX_RUNS`] runs.
    pub fn run<T, E: TransactionError>(
        &self,
        mut conn: Pooled,
        another: impl Fn() -> Result<Pooled, Error>,
        work: impl Fn(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut runs = 1;
        loop {
            let outcome = work(&mut conn);
            if !self.note_loss(&mut conn, &outcome) || runs == MAX_RUNS {
                return outcome;
            }
            runs += 1;
            drop(conn);
            conn = another()?;
        }
    }

    /// Returns true if the work failed because its connection has ended, or because its server waits for too long. The
    /// pool then drops this connection, and also each connection that was idle at that moment.
    pub fn note_loss<T, E: TransactionError>(&self, conn: &mut Tx, outcome: &Result<T, E>) -> bool {
        let Some(error) = outcome.as_ref().err().and_then(E::database) else {
            return false;
        };
        // No statement of requests waits so long for a lock, since the time limit for statements is shorter. So the
        // server is a node of a Galera cluster that has lost the other nodes.
        if !error.is_gone() && !error.is_wait_over() {
            if error.may_end_rows() {
                close_statements(conn);
            }
            return false;
        }
        log::debug!("a database connection has ended: {error}");
        if error.is_of_read_only_server() {
            self.target.hosts.refuse_write(conn.made_at(), Instant::now());
        }
        self.lose(conn);
        true
    }

    /// Marks a connection as lost, so that the pool drops the connection.
    fn lose(&self, conn: &mut Tx) {
        conn.lose();
        metrics::database::LOST.inc();
        *self.outage.lock() = Some(Instant::now());
    }

    /// Takes connections out of the pool until a connection is alive. If `care` is true, tests each connection that
    /// was open when another connection ended.
    fn alive(&self, deadline: Instant, care: bool) -> Result<Pooled, Error> {
        loop {
            let mut conn = self.check_out(deadline)?;
            if self.target.kind == Kind::Sqlite || self.is_alive(&mut conn, care) {
                return Ok(conn);
            }
        }
    }

    fn check_out(&self, deadline: Instant) -> Result<Pooled, Error> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.pool.get_timeout(left.min(SLICE)) {
                Err(error) if left <= SLICE => {
                    metrics::database::TIMEOUTS.inc();
                    return Err(error.into());
                }
                Err(_) => {}
                Ok(conn) => return Ok(conn),
            }
        }
    }

    fn is_alive(&self, conn: &mut Tx, care: bool) -> bool {
        let outage = *self.outage.lock();
        let before_outage = |when: Instant| outage.is_some_and(|outage| when <= outage);
        // A server that has become read-only still answers reads, and may lag behind the server that takes writes now.
        //
        // This connection was idle when another connection ended, so this connection has most likely ended too. A
        // test might take as long as the time-outs of the network. So the connection is dropped without a test.
        let is_of_old_host = self.target.hosts.have_changed_since(conn.made_at());
        if is_of_old_host || before_outage(conn.idle_since()) {
            conn.lose();
            metrics::database::LOST.inc();
            return false;
        }
        let is_doubtful =
            conn.idle_since().elapsed() >= TEST_AFTER || (care && before_outage(conn.made_at()));
        if !is_doubtful {
            return true;
        }
        let answer = ping(conn);
        if let Err(error) = &answer {
            log::info!("a database connection has ended while it was idle: {error}");
            self.lose(conn);
        }
        answer.is_ok()
    }
}

/// Logs the errors of new connections. Logs the same error again only after [`LOG_AGAIN`].
#[derive(Debug, Default)]
struct LogErrors {
    last: Mutex<Option<(Instant, String)>>,
}

impl r2d2::HandleError<Error> for LogErrors {
    fn handle_error(&self, error: Error) {
        let text = error.to_string();
        let mut last = self.last.lock();
        let is_told = |(when, told): &(Instant, String)| *told == text && when.elapsed() < LOG_AGAIN;
        if !last.as_ref().is_some_and(is_told) {
            log::warn!("database pool: {text}");
            *last = Some((Instant::now(), text));
        }
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn overflow_adds_connections_and_a_request_beyond_all_of_them_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let settings = DatabaseSettings {
            url: format!("sqlite:{}", directory.path().join("a.db").display()),
            pool_size: 1,
            max_overflow: 1,
            pool_timeout_seconds: 1,
            ..DatabaseSettings::default()
        };
        let pool = Pool::new(settings.target().unwrap(), &settings);
        let places = [pool.queue_up(None).await.unwrap(), pool.queue_up(None).await.unwrap()];
        let connections = places.each_ref().map(|place| pool.connection(place).unwrap());
        assert_eq!(pool.usage(), PoolUse { in_use: 2, idle: 0, max: 2 });
        let refused = pool.queue_up(None).await.err();
        assert!(matches!(refused, Some(Error::Busy(limit)) if limit == Duration::from_secs(1)));
        drop((connections, places));
        assert!(pool.queue_up(None).await.is_ok());
    }
}

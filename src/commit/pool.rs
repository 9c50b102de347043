//! Connections for requests, which get them in the order of their coming.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::lanes::{Lane, Lanes};
use crate::commit::transaction::TransactionError;
use crate::commit::tx::Tx;
use crate::db::connection::is_broken;
use crate::db::establish::establish;
use crate::db::{DbTarget, Error, Kind};
use crate::metrics;

/// The longest time that a request waits for a free connection.
const PATIENCE: Duration = Duration::from_secs(20);

/// The time that a request may wait for another connection after its connection has ended during the work, however
/// long the work took until then.
const PATIENCE_AGAIN: Duration = Duration::from_secs(5);

/// The largest number of runs of work whose connections end.
pub const MAX_RUNS: u32 = 3;

/// The idle time after which a connection is tested before it is used.
const TEST_AFTER: Duration = Duration::from_secs(1);

/// The time of one wait for r2d2. r2d2 wakes no waiter when a broken connection leaves its pool, so a waiter asks
/// again.
const SLICE: Duration = Duration::from_millis(250);

/// The time for which the log does not repeat the same trouble.
const LOG_AGAIN: Duration = Duration::from_secs(10);

/// Makes connections for the pool.
pub struct Manager {
    target: DbTarget,
}

impl Manager {
    /// A manager of connections to `target`.
    pub fn new(target: DbTarget) -> Self {
        Manager { target }
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = Tx;
    type Error = Error;

    fn connect(&self) -> Result<Tx, Error> {
        Ok(Tx::new(establish(&self.target)?))
    }

    fn is_valid(&self, conn: &mut Tx) -> Result<(), Error> {
        Ok(conn.batch_execute("SELECT 1")?)
    }

    /// r2d2 asks this when a connection returns to the pool.
    fn has_broken(&self, conn: &mut Tx) -> bool {
        conn.rest();
        std::thread::panicking() || conn.is_lost() || is_broken(conn)
    }
}

/// A connection of the pool, to which it returns.
pub type Pooled = r2d2::PooledConnection<Manager>;

/// The connections of the service.
pub struct Pool {
    pool: r2d2::Pool<Manager>,
    kind: Kind,
    /// One place for each connection that there may be.
    places: Arc<Semaphore>,
    lanes: Lanes,
    /// The time when a connection was last found to have ended.
    outage: Mutex<Option<Instant>>,
}

/// The right to a connection, for as long as this lives.
pub struct Place {
    _permit: OwnedSemaphorePermit,
    /// The lane, if the caller asked for one.
    pub lane: Option<Lane>,
    /// The time when the wait for a connection began.
    since: Instant,
}

/// The numbers of a pool's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// The connections in use.
    pub in_use: u32,
    /// The connections that wait for work.
    pub idle: u32,
    /// The largest number of connections.
    pub max: u32,
}

impl Pool {
    /// A pool of at most `size` connections to `target`. Connections are made when they are needed.
    pub fn new(target: DbTarget, size: u32) -> Pool {
        let kind = target.kind;
        let pool = r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(0))
            .test_on_check_out(false)
            // r2d2 pauses at most half of this between two attempts to connect, so that it notices soon when the
            // database is back. No caller waits for this time.
            .connection_timeout(2 * SLICE)
            .error_handler(Box::new(LogErrors::default()))
            .build_unchecked(Manager::new(target));
        let places = Arc::new(Semaphore::new(size as usize));
        Pool { pool, kind, places, lanes: Lanes::default(), outage: Mutex::default() }
    }

    /// The numbers of connections.
    pub fn usage(&self) -> PoolUse {
        let state = self.pool.state();
        PoolUse {
            in_use: state.connections.saturating_sub(state.idle_connections),
            idle: state.idle_connections,
            max: self.pool.max_size(),
        }
    }

    /// Waits for a place. A caller that asks for a lane waits for the lane first, so that it keeps no connection from
    /// others meanwhile.
    ///
    /// In r2d2's pool each waiter would hold a thread, and the one that has waited longest would not be the
    /// first to be served.
    pub async fn queue_up(&self, lane: Option<&str>) -> Result<Place, Error> {
        let place = async {
            let lane = match lane {
                Some(name) => Some(self.lanes.enter(name).await),
                None => None,
            };
            let since = Instant::now();
            // The semaphore is never closed.
            let permit = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Error::CutShort)?;
            Ok(Place { _permit: permit, lane, since })
        };
        match tokio::time::timeout(PATIENCE, place).await {
            Ok(place) => place,
            Err(_) => {
                metrics::database::TIMEOUTS.inc();
                Err(Error::Busy(PATIENCE))
            }
        }
    }

    /// A connection for a caller that has a place. If none is idle, a connection is made in the rest of the time.
    pub fn connection(&self, place: &Place) -> Result<Pooled, Error> {
        let conn = self.alive(place.since + PATIENCE, false)?;
        metrics::database::CHECKOUT.observe(place.since.elapsed().as_secs_f64());
        Ok(conn)
    }

    /// Another connection after one has ended under its work. Connections that may have ended at the same
    /// time are tested first.
    pub fn connection_again(&self, place: &Place) -> Result<Pooled, Error> {
        self.alive((place.since + PATIENCE).max(Instant::now() + PATIENCE_AGAIN), true)
    }

    /// A connection for a caller without a place; blocks the thread for `patience` at most.
    pub fn connection_in(&self, patience: Duration) -> Result<Pooled, Error> {
        self.alive(Instant::now() + patience, false)
    }

    /// A connection for a caller without a place, which waits as long as requests do.
    pub fn any_connection(&self) -> Result<Pooled, Error> {
        self.connection_in(PATIENCE)
    }

    /// A connection that is idle, if there is one.
    pub fn idle_connection(&self) -> Option<Pooled> {
        self.pool.try_get()
    }

    /// Runs `work` on `conn`. If the connection ends during the work, nothing of the work remains, and `work` runs
    /// again on a connection from `another`.
    pub fn run<T, E: TransactionError>(
        &self,
        mut conn: Pooled,
        another: impl Fn() -> Result<Pooled, Error>,
        work: impl Fn(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        for _ in 1..MAX_RUNS {
            let outcome = work(&mut conn);
            if !self.note_loss(&mut conn, &outcome) {
                return outcome;
            }
            drop(conn);
            conn = another()?;
        }
        let outcome = work(&mut conn);
        self.note_loss(&mut conn, &outcome);
        outcome
    }

    /// Whether work failed because its connection has ended. The pool then drops that connection, and those
    /// that have been idle since before.
    pub fn note_loss<T, E: TransactionError>(&self, conn: &mut Tx, outcome: &Result<T, E>) -> bool {
        let gone = outcome.as_ref().err().and_then(E::database).is_some_and(Error::is_gone);
        if gone {
            self.lose(conn);
        }
        gone
    }

    /// Marks a connection, so that it does not stay in the pool.
    fn lose(&self, conn: &mut Tx) {
        conn.lose();
        metrics::database::LOST.inc();
        *self.outage.lock() = Some(Instant::now());
    }

    /// Takes connections out of the pool until one is alive. With `care`, every connection that was there
    /// when another one ended is tested.
    fn alive(&self, deadline: Instant, care: bool) -> Result<Pooled, Error> {
        loop {
            let mut conn = self.check_out(deadline)?;
            if self.kind == Kind::Sqlite || self.is_alive(&mut conn, care) {
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
        // A connection that was idle when another one ended most likely ended too. It is not tested: if the network
        // loses packets, the answer takes as long as the network's time-outs.
        if before_outage(conn.idle_since()) {
            conn.lose();
            metrics::database::LOST.inc();
            return false;
        }
        let is_doubtful =
            conn.idle_since().elapsed() >= TEST_AFTER || (care && before_outage(conn.made_at()));
        if !is_doubtful {
            return true;
        }
        let answer = conn.batch_execute("SELECT 1");
        if let Err(error) = &answer {
            log::info!("a database connection has ended while it was idle: {error}");
            self.lose(conn);
        }
        answer.is_ok()
    }
}

/// Logs the pool's troubles with new connections, and repeats the same trouble only after a while.
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

//! The readiness of the service: whether the service can answer requests.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::lookup::Lookup;
use crate::commit::Db;
use crate::migrations;

/// The time within which the database must answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time limit for one attempt to connect to the database. [`PATIENCE`] leaves time for two attempts. So a
/// database that can't be reached gives [`Unready::Unreachable`], and not [`Unready::Silent`].
const CONNECTING: Duration = Duration::from_secs(2);

/// The reason why the service is not ready. The response of the readiness check contains this reason and no
/// further details, since a client needs no token for the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// The service is stopping.
    Stopping,
    /// No connection to the database could be opened.
    Unreachable,
    /// The database did not answer in time.
    Silent,
    /// This replica could not be registered, or could not read the changes by other replicas.
    Behind,
    /// The tables of the database are too old: this number of migrations has not run yet.
    Unmigrated(usize),
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unready::Stopping => write!(f, "the service is being stopped"),
            Unready::Unreachable => write!(f, "the database cannot be reached"),
            Unready::Silent => write!(f, "the database does not answer"),
            Unready::Behind => write!(f, "the changes by other replicas of the service are not read"),
            Unready::Unmigrated(count) => write!(f, "{count} migrations of the database are pending"),
        }
    }
}

/// The latest result of the readiness check.
#[derive(Debug)]
pub(super) struct Readiness {
    stopping: AtomicBool,
    lookup: Lookup<Result<(), Unready>>,
    /// The result that was logged last. Only a changed result is logged.
    told: Mutex<Result<(), Unready>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Readiness { stopping: AtomicBool::new(false), lookup: Lookup::default(), told: Mutex::new(Ok(())) }
    }
}

impl Readiness {
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(super) async fn ask(&self, db: &Db) -> Result<(), Unready> {
        if self.is_stopping() {
            return Err(Unready::Stopping);
        }
        let db = db.clone();
        let found = self.lookup.ask(PATIENCE, move || look(&db)).await.unwrap_or(Err(Unready::Silent));
        let told = std::mem::replace(&mut *self.told.lock(), found);
        if found != told {
            match found {
                Ok(()) => log::info!("ready again"),
                Err(reason) => log::warn!("not ready: {reason}"),
            }
        }
        found
    }
}

fn look(db: &Db) -> Result<(), Unready> {
    match db.probe(CONNECTING, |conn| Ok(migrations::pending(conn)?.len())) {
        Ok(0) if !db.is_current() => Err(Unready::Behind),
        Ok(0) => Ok(()),
        Ok(pending) => Err(Unready::Unmigrated(pending)),
        Err(error) => {
            log::debug!("the database cannot be reached: {error}");
            Err(Unready::Unreachable)
        }
    }
}

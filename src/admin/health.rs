//! The readiness of the service: whether it can answer requests.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::lookup::Lookup;
use crate::commit::Db;
use crate::store::migrations;

/// The time within which the database must answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time within which a connection to the database must be made. There are two tries, and both end within
/// [`PATIENCE`]. So the answer tells a database that is away from one that is silent.
const CONNECTING: Duration = Duration::from_secs(2);

/// The reason for which the service is not ready. The question needs no token, so the answer tells no more than
/// this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// The service is being stopped.
    Stopping,
    /// The database cannot be reached.
    Unreachable,
    /// The database does not answer.
    Silent,
    /// This number of migrations is pending.
    Unmigrated(usize),
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unready::Stopping => write!(f, "the service is being stopped"),
            Unready::Unreachable => write!(f, "the database cannot be reached"),
            Unready::Silent => write!(f, "the database does not answer"),
            Unready::Unmigrated(count) => write!(f, "{count} migrations of the database are pending"),
        }
    }
}

/// The last answer about the database.
#[derive(Debug)]
pub(super) struct Readiness {
    stopping: AtomicBool,
    lookup: Lookup<Result<(), Unready>>,
    /// The answer that the log has as its last line about readiness.
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

    pub(super) async fn ask(&self, db: &Db) -> Result<(), Unready> {
        if self.stopping.load(Ordering::Relaxed) {
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
        Ok(0) => Ok(()),
        Ok(pending) => Err(Unready::Unmigrated(pending)),
        Err(error) => {
            log::debug!("the database cannot be reached: {error}");
            Err(Unready::Unreachable)
        }
    }
}

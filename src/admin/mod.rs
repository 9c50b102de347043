//! Health and metrics of the service. Neither shows data of a project or a user.
//!
//! - [`health`]: whether the service is ready for requests
//! - `metrics`: the text of the metrics, for Prometheus
//! - [`overview`]: the state of a database and of all replicas, for `allotment status`
//! - `lookup`: caches values from the database

pub mod health;
mod lookup;
mod metrics;
pub mod overview;

use std::sync::Arc;

use crate::commit::Db;
use crate::fleet::Fleet;
use crate::metrics::candidates::Searching;
use crate::waitlist::{Lengths, Waitlist};
use health::{Readiness, Unready};
use lookup::Lookup;

/// The parts of the service whose state is shown by the health checks and the metrics.
pub struct Admin {
    db: Db,
    fleet: Arc<Fleet>,
    searching: Arc<Searching>,
    waitlist: Arc<Waitlist>,
    lengths: Lookup<Option<Lengths>>,
    readiness: Readiness,
}

impl Admin {
    /// Collects the parts whose state is shown by the health checks and the metrics.
    #[must_use]
    pub fn new(db: Db, fleet: Arc<Fleet>, searching: Arc<Searching>, waitlist: Arc<Waitlist>) -> Admin {
        let (lengths, readiness) = (Lookup::default(), Readiness::default());
        Admin { db, fleet, searching, waitlist, lengths, readiness }
    }

    /// Records that the service is stopping. From then on, the service is not ready.
    pub fn stop(&self) {
        self.readiness.stop();
    }

    /// Returns true if the service is stopping.
    pub fn is_stopping(&self) -> bool {
        self.readiness.is_stopping()
    }

    /// Returns Ok if the service can answer requests, or else the reason why not.
    pub async fn ready(&self) -> Result<(), Unready> {
        self.readiness.ask(&self.db).await
    }

    /// Returns the counters of the process and the current values from the database, in Prometheus' text format.
    pub async fn metrics(&self) -> Result<Vec<u8>, prometheus::Error> {
        metrics::text(self).await
    }
}

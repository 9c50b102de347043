//! Health and metrics of the service. They show no data of tenants.
//!
//! - [`health`]: whether the service is ready for requests
//! - `metrics`: the text of the metrics, for Prometheus
//! - `lookup`: looks at the database, once at a time

pub mod health;
mod lookup;
mod metrics;

use std::sync::Arc;

use crate::commit::Db;
use crate::fleet::Fleet;
use crate::metrics::candidates::Searching;
use crate::waitlist::{Lengths, Waitlist};
use health::{Readiness, Unready};
use lookup::Lookup;

/// The sources of all answers about health and metrics.
pub struct Admin {
    db: Db,
    fleet: Arc<Fleet>,
    searching: Arc<Searching>,
    waitlist: Arc<Waitlist>,
    lengths: Lookup<Option<Lengths>>,
    readiness: Readiness,
}

impl Admin {
    /// Health and metrics of the service on this database, with its picture of the fleet, its searches and
    /// its waitlist.
    #[must_use]
    pub fn new(db: Db, fleet: Arc<Fleet>, searching: Arc<Searching>, waitlist: Arc<Waitlist>) -> Admin {
        let (lengths, readiness) = (Lookup::default(), Readiness::default());
        Admin { db, fleet, searching, waitlist, lengths, readiness }
    }

    /// Notes that the service is being stopped, and so is not ready any more.
    pub fn stop(&self) {
        self.readiness.stop();
    }

    /// Whether the service can answer requests.
    pub async fn ready(&self) -> Result<(), Unready> {
        self.readiness.ask(&self.db).await
    }

    /// The counters of the process, and values that are looked up now, as Prometheus reads them.
    pub async fn metrics(&self) -> Result<Vec<u8>, prometheus::Error> {
        metrics::text(self).await
    }
}

//! What operators' machinery asks, without a token and without being shown anything of tenants.
//!
//! - [`health`]: whether the service lives, and whether it is ready for requests
//! - `metrics`: what it has counted, for Prometheus
//! - `lookup`: what the database is asked for them

pub mod health;
mod lookup;
mod metrics;

use std::sync::Arc;

use actix_web::web;

use crate::db::Db;
use crate::fleet::Fleet;
use crate::waitlist::{Lengths, Waitlist};
use health::Readiness;
use lookup::Lookup;

/// What the answers are made of.
pub struct Admin {
    db: Db,
    fleet: Arc<Fleet>,
    waitlist: Arc<Waitlist>,
    lengths: Lookup<Option<Lengths>>,
    readiness: Readiness,
}

impl Admin {
    /// For the service on this database, with this picture of it and this waitlist.
    #[must_use]
    pub fn new(db: Db, fleet: Arc<Fleet>, waitlist: Arc<Waitlist>) -> Admin {
        Admin { db, fleet, waitlist, lengths: Lookup::default(), readiness: Readiness::default() }
    }

    /// From now on the service is not ready, since it is being stopped.
    pub fn stop(&self) {
        self.readiness.stop();
    }
}

/// Installs the answers in an actix application that holds a `web::Data<Admin>`.
pub fn configure(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/healthcheck")
            .route(web::get().to(health::check))
            .route(web::head().to(health::check)),
    );
    config.service(web::resource("/metrics").route(web::get().to(metrics::show)));
}

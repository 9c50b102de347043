//! A clock that tests set.

use std::sync::Arc;

use allotment::server::{self, Running};
use allotment::waitlist::{Clock, SystemClock};
use chrono::{NaiveDateTime, TimeDelta};
use std::sync::atomic::{AtomicI64, Ordering};

use crate::support::{Backend, Database, TestApp, settings};

/// The machine's clock, so many seconds off.
#[derive(Default)]
pub struct Shifted(AtomicI64);

impl Shifted {
    /// Jumps to this many seconds before or after the machine's clock.
    pub fn jump(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for Shifted {
    fn now(&self) -> NaiveDateTime {
        SystemClock.now() + TimeDelta::seconds(self.0.load(Ordering::SeqCst))
    }
}

/// Starts replicas on one database, all by one clock, that look for changes of others each second.
pub fn start(backend: Backend, replicas: usize) -> (TestApp, Arc<Shifted>) {
    let database = Database::create(backend);
    let clock = Arc::new(Shifted::default());
    let servers = (0..replicas).map(|_| replica(&database, &clock)).collect();
    (TestApp::of_replicas(database, servers), clock)
}

/// Starts a replica by this clock.
pub fn replica(database: &Database, clock: &Arc<Shifted>) -> Running {
    let mut settings = settings(database);
    settings.waitlist.recheck_seconds = 1;
    server::start_with(settings, Arc::<Shifted>::clone(clock)).unwrap()
}

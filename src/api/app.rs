//! The things that all requests share.

use std::sync::Arc;

use crate::admin::Admin;
use crate::api::searches::searchers::Searchers;
use crate::api::settings::Settings;
use crate::auth::policy::Enforcer;
use crate::commit::Db;
use crate::fleet::Fleet;
use crate::store::known_traits::KnownTraits;
use crate::waitlist::Waitlist;

/// The parts of the service that handlers use.
pub struct App {
    /// The settings that handlers read.
    pub settings: Settings,
    /// The policy: who may do what.
    pub policy: Enforcer,
    /// The database.
    pub db: Db,
    /// The names of traits.
    pub known_traits: Arc<KnownTraits>,
    /// The providers as a picture, for searching.
    pub fleet: Arc<Fleet>,
    /// The threads that search the picture.
    pub searchers: Searchers,
    /// Queues and tickets, and the requests that wait for them.
    pub waitlist: Arc<Waitlist>,
    /// Health and metrics.
    pub admin: Admin,
}

//! The objects that all handlers share.

use std::sync::Arc;

use crate::admin::Admin;
use crate::api::fence::FencedWrite;
use crate::api::searches::searchers::Searchers;
use crate::api::settings::Settings;
use crate::auth::policy::Enforcer;
use crate::commit::{Db, Joint};
use crate::fleet::Fleet;
use crate::placement::writes::{EndConsumer, ReplaceAllocations};
use crate::store::known_traits::KnownTraits;
use crate::waitlist::Waitlist;

/// The objects that all handlers share.
pub struct App {
    /// The settings that handlers read.
    pub settings: Settings,
    /// The policy: the rules that say which client may send which request.
    pub policy: Enforcer,
    /// The database.
    pub db: Db,
    /// The claims that wait at the same time, and that one transaction may write together.
    pub(crate) claims: Arc<Joint<FencedWrite<ReplaceAllocations>>>,
    /// The ends of consumers that wait at the same time, and that one transaction may write together.
    pub(crate) ends: Arc<Joint<FencedWrite<EndConsumer>>>,
    /// A cache of the names of traits (features of providers) by their row ids.
    pub known_traits: Arc<KnownTraits>,
    /// The in-memory copy of all providers, for searches.
    pub fleet: Arc<Fleet>,
    /// The threads that run searches.
    pub searchers: Searchers,
    /// The queues and their tickets, and the requests that wait for a ticket.
    pub waitlist: Arc<Waitlist>,
    /// The state of the service for the health check and the metrics.
    pub admin: Admin,
}

//! The API: its routes and their handlers.
//!
//! - `routes`: the table of routes
//! - `call`, `reply`: what a handler gets, and what it returns
//! - `refusal`: refusals of the rules, as errors of the API
//! - `fence`: writes that depend on tickets
//! - `permission`: what the policy says of a request
//! - `searchers`: the threads that search
//! - `resources`: the handlers of Placement's resources, one file a noun
//! - `waitlist`: the handlers of the waitlist
//! - `cnapi`: the waitlist in the dialects of CNAPI
//! - `openapi`: the document that describes all this, made of the same tables and schemas

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::admin::Admin;
use crate::auth::Authenticator;
use crate::auth::policy::Enforcer;
use crate::commit::Db;
use crate::config::Settings;
use crate::edge::Memory;
use crate::fleet::Fleet;
use crate::store::known_traits::KnownTraits;
use crate::waitlist::Waitlist;
use crate::wire::ApiError;

pub mod call;
pub mod cnapi;
pub mod fence;
pub mod openapi;
pub mod permission;
mod refusal;
pub mod reply;
pub mod resources;
pub mod routes;
mod searchers;
pub mod waitlist;

pub use call::Call;
pub use reply::Reply;
use routes::Dialect;
pub use searchers::Searchers;

/// The parts of the service that all requests share.
pub struct App {
    /// How the server is configured.
    pub settings: Settings,
    /// The authentication of requests.
    pub auth: Authenticator,
    /// The policy.
    pub policy: Enforcer,
    /// Where everything is kept.
    pub db: Db,
    /// The names of traits, by id.
    pub known_traits: Arc<KnownTraits>,
    /// The providers as a picture, for searching.
    pub fleet: Arc<Fleet>,
    /// The threads that search the fleet.
    pub searchers: Searchers,
    /// Queues and tickets, and who waits for them.
    pub waitlist: Arc<Waitlist>,
    /// Health and metrics.
    pub admin: Admin,
    /// The memory that the bodies of all requests may take together.
    pub bodies: Memory,
}

/// The APIs that are served at an address. Each application of actix-web holds one door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The API, with health and metrics where these have no address of their own.
    Api {
        /// Whether health and metrics are served here.
        admin: bool,
    },
    /// The dialects of CNAPI alone, without a token.
    Cnapi,
    /// Health and metrics alone.
    Admin,
}

impl Door {
    /// Whether the routes of this API are served here.
    #[must_use]
    pub fn serves(self, dialect: Dialect) -> bool {
        match self {
            Door::Api { admin } => admin || dialect != Dialect::Admin,
            other => other.dialect() == dialect,
        }
    }

    /// The API whose form of errors tells that a path does not exist.
    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Door::Api { .. } => Dialect::Placement,
            Door::Cnapi => Dialect::Cnapi,
            Door::Admin => Dialect::Admin,
        }
    }
}

/// The result of a handler.
pub type HandlerResult = Result<Reply, ApiError>;

/// A handler at work.
pub type Answer = Pin<Box<dyn Future<Output = HandlerResult>>>;

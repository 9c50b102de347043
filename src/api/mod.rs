//! HTTP: what comes in and goes out.
//!
//! - `pipeline`: what happens to every request, in order, up to the handler and back
//! - `routes`: the table of routes
//! - `path`, `address`: the routed part of a request's path, and where its client found the service
//! - `call`, `reply`, `error`: what a handler gets, and the two things it may return
//! - `microversion`, `accept`, `query`, `json`: the parts of a request, parsed
//! - `schema`, `wording`, `python`: validation, and errors as Python's jsonschema words them
//! - `fence`: writes that depend on tickets
//! - `request_body`: bodies of requests, and the memory that all of them may take
//! - `permission`: what the policy says of a request
//! - `cors`: which web pages may call; `origin`: whether a page of another site calls
//! - `openapi` and its parts: the document that describes all this, made of the same tables and schemas
//! - `cnapi`: the waitlist in the dialects of CNAPI
//! - `forwarded`: what trusted proxies say of who asks
//! - `access_log`: a line for each request
//! - the other files: the handlers, one file a resource

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::web;

use crate::admin::Admin;
use crate::auth::Authenticator;
use crate::auth::policy::Enforcer;
use crate::config::Settings;
use crate::db::Db;
use crate::fleet::Fleet;
use crate::store::known_traits::KnownTraits;
use crate::waitlist::Waitlist;

pub mod accept;
mod access_log;
mod address;
mod admin;
pub mod aggregates;
pub mod allocation_candidates;
pub mod allocations;
mod body;
pub mod call;
pub mod candidate_query;
pub mod cnapi;
pub mod constraints;
mod cors;
pub mod docs;
pub mod error;
mod fence;
mod forwarded;
pub mod inventories;
pub mod json;
pub mod microversion;
mod names;
pub mod openapi;
mod openapi_headers;
mod openapi_operations;
mod openapi_parameters;
mod openapi_schemas;
mod ordered;
mod origin;
mod path;
mod permission;
mod pipeline;
pub mod python;
pub mod query;
mod refusal;
pub mod reply;
mod request_body;
pub mod reshaper;
pub mod resource_classes;
pub mod resource_providers;
pub mod root;
pub mod routes;
pub mod schema;
mod searchers;
mod spelling;
pub mod times;
pub mod traits;
pub mod usages;
mod view;
pub mod waitlist;
mod waitlist_body;
mod waitlist_view;
mod wording;

pub use call::Call;
pub use error::{ApiError, Code};
pub use query::Query;
pub use reply::Reply;
pub use request_body::Memory;
use routes::Dialect;
pub use searchers::Searchers;

/// What all requests share.
pub struct App {
    /// How the server is configured.
    pub settings: Settings,
    /// Who is asking.
    pub auth: Authenticator,
    /// Who may do what.
    pub policy: Enforcer,
    /// Where everything is kept.
    pub db: Db,
    /// What traits are called.
    pub known_traits: Arc<KnownTraits>,
    /// The providers as a picture, for searching.
    pub fleet: Arc<Fleet>,
    /// Who searches it.
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

/// What a handler returns.
pub type HandlerResult = Result<Reply, ApiError>;

/// A handler at work.
pub type Answer = Pin<Box<dyn Future<Output = HandlerResult>>>;

/// Installs the door of an address in an actix application, which holds a `web::Data<App>`.
///
/// One service takes every request: which of several things wrong with a request is told depends
/// on the order of the checks, and that order is ours (see `pipeline`), not the framework's.
pub fn configure(config: &mut web::ServiceConfig, door: Door) {
    config.app_data(door).default_service(web::to(pipeline::serve));
}

//! All processing of a request before and after its handler.
//!
//! - `pipeline`: the steps of a request in order, before and after the handler
//! - `exchange`: a request and the facts about the request; `checks`: the checks of the request's head; `respond`:
//!   the response to the request
//! - `path`, `address`: the part of a request's path that selects the route, and the address under which the
//!   client reached the service
//! - `request_body`: bodies of requests, and the memory that all bodies share
//! - `cors`: the web pages that may send requests (CORS); `origin`: the check for requests of other sites' web
//!   pages
//! - `forwarded`: the address of a client behind proxies
//! - `body`: bodies of responses, in pieces for the HTTP layer
//! - `access_log`: the log line of each request
//! - `shared`: the objects that all requests share
//! - `settings`, `limits`, `proxies`, `base_path`: the settings of this module

mod access_log;
mod address;
mod base_path;
mod body;
mod checks;
mod cors;
mod exchange;
mod forwarded;
mod limits;
mod origin;
mod path;
mod pipeline;
mod proxies;
mod request_body;
mod respond;
mod settings;
mod shared;

use actix_web::web;

use crate::api::Door;

pub use base_path::BasePath;
pub use cors::CorsSettings;
pub use limits::Limits;
pub use proxies::{ProxyHeaders, TrustedProxies};
pub use settings::Settings;
pub use shared::Edge;

/// Configures an actix application to serve the APIs of one listening address (`door`).
///
/// The routing of actix is not used. All requests go to `pipeline`, because the checks must run in the order of
/// Placement: the first check that fails decides which error the client gets.
pub fn configure(config: &mut web::ServiceConfig, edge: web::Data<Edge>, door: Door) {
    config.app_data(edge).app_data(door).default_service(web::to(pipeline::serve));
}

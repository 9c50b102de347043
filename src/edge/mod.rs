//! The things that happen to every request around its handler.
//!
//! - `pipeline`: the steps of a request in order, up to the handler and back
//! - `exchange`: a request and the facts about it; `checks`: the checks of its head; `respond`: its response
//! - `path`, `address`: the routed part of a request's path, and the address under which its client found the
//!   service
//! - `request_body`: bodies of requests, and the memory that all of them may take
//! - `cors`: the web pages that may call; `origin`: the pages of other sites
//! - `forwarded`: the client of a request behind proxies
//! - `body`: bodies of answers, as the HTTP layer takes them
//! - `access_log`: a line for each request
//! - `shared`: the parts that all requests share
//! - `settings`, `limits`, `proxies`, `base_path`: the settings of this room

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

/// Installs the door of an address in an actix application.
///
/// One service takes every request, instead of the framework's routing. The order of the checks decides which of
/// several faults of a request is told, and `pipeline` has that order.
pub fn configure(config: &mut web::ServiceConfig, edge: web::Data<Edge>, door: Door) {
    config.app_data(edge).app_data(door).default_service(web::to(pipeline::serve));
}

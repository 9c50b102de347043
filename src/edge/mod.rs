//! The things that happen to every request around its handler.
//!
//! - `pipeline`: the steps of a request in order, up to the handler and back
//! - `exchange`: a request and the facts about it; `checks`: the checks of its head; `respond`: its response
//! - `path`, `address`: the routed part of a request's path, and the address under which its client found the
//!   service
//! - `request_body`: bodies of requests, and the memory that all of them may take
//! - `cors`: which web pages may call; `origin`: whether a page of another site calls
//! - `forwarded`: what trusted proxies say of a request's client
//! - `body`: bodies of answers, as the HTTP layer takes them
//! - `access_log`: a line for each request
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

use actix_web::web;

use crate::api::{App, Door};
use crate::auth::Authenticator;
use request_body::Memory;

pub use base_path::BasePath;
pub use cors::CorsSettings;
pub use limits::Limits;
pub use proxies::{ProxyHeaders, TrustedProxies};
pub use settings::Settings;

/// The parts that every request uses around its handler. All addresses of the service share them.
pub struct Edge {
    /// The application whose handlers answer.
    pub app: web::Data<App>,
    /// The settings of this room.
    pub settings: Settings,
    /// The way in which requests are authenticated.
    pub auth: Authenticator,
    /// The memory that the bodies of all requests may take together.
    bodies: Memory,
}

impl Edge {
    /// The edge of an application.
    #[must_use]
    pub fn new(app: web::Data<App>, settings: Settings, auth: Authenticator) -> Edge {
        let bodies = Memory::new(&settings.limits);
        Edge { app, settings, auth, bodies }
    }
}

/// Installs the door of an address in an actix application.
///
/// One service takes every request. The order of the checks decides which of several faults of a request is
/// told, and that order is ours (see `pipeline`), not the framework's.
pub fn configure(config: &mut web::ServiceConfig, edge: web::Data<Edge>, door: Door) {
    config.app_data(edge).app_data(door).default_service(web::to(pipeline::serve));
}

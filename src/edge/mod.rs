//! The things that happen to every request around its handler.
//!
//! - `pipeline`: all checks in order, up to the handler and back
//! - `path`, `address`: the routed part of a request's path, and the address under which its client found the
//!   service
//! - `request_body`: bodies of requests, and the memory that all of them may take
//! - `cors`: which web pages may call; `origin`: whether a page of another site calls
//! - `forwarded`: what trusted proxies say of a request's client
//! - `body`: bodies of answers, as the HTTP layer takes them
//! - `access_log`: a line for each request

use actix_web::web;

use crate::api::Door;

mod access_log;
mod address;
mod body;
mod cors;
mod forwarded;
mod origin;
mod path;
pub mod pipeline;
mod request_body;

pub use request_body::Memory;

/// Installs the door of an address in an actix application, which holds a `web::Data<App>`.
///
/// One service takes every request. The order of the checks decides which of several faults of a request is
/// told, and that order is ours (see `pipeline`), not the framework's.
pub fn configure(config: &mut web::ServiceConfig, door: Door) {
    config.app_data(door).default_service(web::to(pipeline::serve));
}

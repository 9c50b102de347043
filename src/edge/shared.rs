//! The objects that all requests use before and after their handlers.

use actix_web::web;

use super::request_body::Memory;
use super::settings::Settings;
use crate::api::App;
use crate::auth::Authenticator;

/// The objects that all requests use before and after their handlers. All listening addresses of the service share
/// one `Edge`.
pub struct Edge {
    /// The objects that handlers use.
    pub app: web::Data<App>,
    /// The settings of `edge`.
    pub settings: Settings,
    /// The authentication of requests: Keystone, or `noauth2`, which accepts every token.
    pub auth: Authenticator,
    /// The memory for the bodies of all requests in progress.
    pub(super) bodies: Memory,
}

impl Edge {
    /// Returns the shared objects. All memory for bodies is still free.
    #[must_use]
    pub fn new(app: web::Data<App>, settings: Settings, auth: Authenticator) -> Edge {
        let bodies = Memory::new(&settings.limits);
        Edge { app, settings, auth, bodies }
    }
}

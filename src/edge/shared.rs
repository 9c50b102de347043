//! The parts that all requests share around their handlers.

use actix_web::web;

use super::request_body::Memory;
use super::settings::Settings;
use crate::api::App;
use crate::auth::Authenticator;

/// The parts that all requests share around their handlers, at all addresses of the service.
pub struct Edge {
    /// The application whose handlers answer.
    pub app: web::Data<App>,
    /// The settings of this room.
    pub settings: Settings,
    /// The way in which requests are authenticated.
    pub auth: Authenticator,
    /// The memory that the bodies of all requests may take together.
    pub(super) bodies: Memory,
}

impl Edge {
    /// The edge of an application.
    #[must_use]
    pub fn new(app: web::Data<App>, settings: Settings, auth: Authenticator) -> Edge {
        let bodies = Memory::new(&settings.limits);
        Edge { app, settings, auth, bodies }
    }
}

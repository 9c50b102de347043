//! The settings of everything that happens around a handler.

use std::net::SocketAddr;

use super::base_path::BasePath;
use super::cors::CorsSettings;
use super::limits::Limits;
use super::proxies::{ProxyHeaders, TrustedProxies};

/// The settings of everything that happens around a handler.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address on which the service listens. Links begin with it if a request names no host.
    pub listen: SocketAddr,
    /// Whether the service itself speaks TLS.
    pub is_https: bool,
    /// The path below which clients find the service.
    pub base_path: BasePath,
    /// The proxies whose headers about a client are believed.
    pub trusted_proxies: TrustedProxies,
    /// The headers in which proxies describe the client.
    pub proxy_headers: ProxyHeaders,
    /// The web pages that may call the service.
    pub cors: CorsSettings,
    /// The bounds on the cost of a request.
    pub limits: Limits,
}

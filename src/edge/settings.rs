//! The settings of the steps before and after a handler.

use std::net::SocketAddr;

use super::base_path::BasePath;
use super::cors::CorsSettings;
use super::limits::Limits;
use super::proxies::{ProxyHeaders, TrustedProxies};

/// The settings of the steps before and after a handler.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address on which the service listens. Links begin with this address if a request names no host.
    pub listen: SocketAddr,
    /// True if the service itself, not only a proxy, speaks TLS.
    pub is_https: bool,
    /// The path below which clients reach the service, such as `/placement`.
    pub base_path: BasePath,
    /// The proxies whose headers about the client are believed.
    pub trusted_proxies: TrustedProxies,
    /// The headers in which proxies describe the client.
    pub proxy_headers: ProxyHeaders,
    /// The web pages that may call the service.
    pub cors: CorsSettings,
    /// The bounds on the cost of a request.
    pub limits: Limits,
}

//! All settings as one struct. Its tables are the settings of the rooms.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::admin::AdminSettings;
use super::tls::TlsSettings;
use crate::auth::AuthSettings;
use crate::auth::policy::PolicySettings;
use crate::db::DatabaseSettings;
use crate::edge::{BasePath, CorsSettings, Limits, ProxyHeaders, TrustedProxies};
use crate::search::PlacementSettings;
use crate::waitlist::WaitlistSettings;

/// All settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The address on which the service listens.
    pub listen: SocketAddr,
    /// The path below which clients find the service, such as `/placement`. An empty path is the root of the
    /// host.
    pub base_path: BasePath,
    /// The proxies whose headers about a client are believed: addresses or networks.
    pub trusted_proxies: TrustedProxies,
    /// The headers in which proxies describe the client.
    pub proxy_headers: ProxyHeaders,
    /// The number of threads that accept and answer requests. By default, it is the number of processors.
    pub workers: Option<usize>,
    /// The address of the built API reference, to which `/docs` redirects.
    pub api_ref_url: Option<String>,
    /// The log filter: a level (error, warn, info, debug, trace), or levels by part of the program
    /// (`info,allotment::access=off`). By default, it is the value of `RUST_LOG`, or else info.
    pub log: Option<String>,
    /// The `[tls]` table.
    pub tls: TlsSettings,
    /// The `[admin]` table.
    pub admin: AdminSettings,
    /// The `[database]` table.
    pub database: DatabaseSettings,
    /// The `[auth]` table.
    pub auth: AuthSettings,
    /// The `[policy]` table.
    pub policy: PolicySettings,
    /// The `[cors]` table.
    pub cors: CorsSettings,
    /// The `[placement]` table.
    pub placement: PlacementSettings,
    /// The `[waitlist]` table.
    pub waitlist: WaitlistSettings,
    /// The `[limits]` table.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 8778)),
            base_path: BasePath::default(),
            trusted_proxies: TrustedProxies::default(),
            proxy_headers: ProxyHeaders::default(),
            workers: None,
            api_ref_url: None,
            log: None,
            tls: TlsSettings::default(),
            admin: AdminSettings::default(),
            database: DatabaseSettings::default(),
            auth: AuthSettings::default(),
            policy: PolicySettings::default(),
            cors: CorsSettings::default(),
            placement: PlacementSettings::default(),
            waitlist: WaitlistSettings::default(),
            limits: Limits::default(),
        }
    }
}

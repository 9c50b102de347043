//! All settings as one struct. Each table is a struct of the module that uses the table.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::admin::AdminSettings;
use super::error::Error;
use super::tls::TlsSettings;
use crate::auth::AuthSettings;
use crate::auth::policy::PolicySettings;
use crate::db::DatabaseSettings;
use crate::edge::{BasePath, CorsSettings, Limits, ProxyHeaders, TrustedProxies};
use crate::logging::{self, LogFormat};
use crate::search::PlacementSettings;
use crate::waitlist::WaitlistSettings;

/// All settings of the service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The address on which the service listens.
    pub listen: SocketAddr,
    /// The path below which clients reach the service, such as `/placement`. The path is empty if the service is
    /// at the root of the host.
    pub base_path: BasePath,
    /// The addresses or networks of the trusted proxies. Headers that describe the client, such as
    /// `X-Forwarded-For`, are believed only if one of these proxies sent the request.
    pub trusted_proxies: TrustedProxies,
    /// Which headers the trusted proxies write: `X-Forwarded-…`, or `Forwarded`.
    pub proxy_headers: ProxyHeaders,
    /// The number of threads that accept connections and answer requests. With None, there is one thread for each
    /// processor.
    pub workers: Option<usize>,
    /// The URL or path of the built API reference. The page `/docs` links to this reference.
    pub api_ref_url: Option<String>,
    /// The log filter: a level (error, warn, info, debug, trace), or a level for each part of the program
    /// (`info,allotment::access=off`). With None, the filter is the environment variable `RUST_LOG`, or else info.
    pub log: Option<String>,
    /// The form of the log's lines.
    pub log_format: LogFormat,
    /// The file to which the log goes. With None, the log goes to standard error.
    pub log_file: Option<PathBuf>,
    /// The `[tls]` table: the certificate of the service.
    pub tls: TlsSettings,
    /// The `[admin]` table: the address for health checks and metrics.
    pub admin: AdminSettings,
    /// The `[database]` table: the URL and the limits of the database.
    pub database: DatabaseSettings,
    /// The `[auth]` table: the authentication of requests.
    pub auth: AuthSettings,
    /// The `[policy]` table: the rules of which client may do what.
    pub policy: PolicySettings,
    /// The `[cors]` table: the web pages that may send requests.
    pub cors: CorsSettings,
    /// The `[placement]` table: the search for allocation candidates, and the comparison of the in-memory copy of
    /// the providers with the database.
    pub placement: PlacementSettings,
    /// The `[waitlist]` table: the limits of queues and tickets.
    pub waitlist: WaitlistSettings,
    /// The `[limits]` table: the bounds on the cost of a request and of a connection.
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
            log_format: LogFormat::Text,
            log_file: None,
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

impl Settings {
    /// Puts the settings of the log in force, and opens the log file again. The error names the file.
    pub fn apply_to_log(&self) -> Result<(), Error> {
        let file = self.log_file.as_deref();
        let settings = logging::Settings { filter: self.log.as_deref(), format: self.log_format, file };
        logging::set(settings)
            .map_err(|cause| Error::Log { path: self.log_file.clone().unwrap_or_default(), cause })
    }
}

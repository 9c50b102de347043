//! The `[cors]` table: the web pages that may call the service.

use serde::{Deserialize, Serialize};

use super::{Error, invalid};

/// The `[cors]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct CorsSettings {
    /// The origins whose pages may call, such as `https://horizon.example.com`. `*` stands for all.
    pub allowed_origins: Vec<String>,
    /// Whether such calls may carry the browser's credentials for the service.
    pub allow_credentials: bool,
    /// The headers of answers that such pages may read, besides the simple ones.
    pub expose_headers: Vec<String>,
    /// The number of seconds for which a browser may remember the permission.
    pub max_age: u32,
    /// The methods that such calls may have.
    pub allow_methods: Vec<String>,
    /// The headers that such calls may carry, besides the simple ones.
    pub allow_headers: Vec<String>,
}

/// The default methods. Placement has the same.
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "PATCH"];

/// The default headers of requests: the ones of Placement, and the one of fenced writes.
const ALLOWED: [&str; 9] = [
    "X-Auth-Token",
    "X-Openstack-Request-Id",
    "X-Identity-Status",
    "X-Roles",
    "X-Service-Catalog",
    "X-User-Id",
    "X-Tenant-Id",
    "OpenStack-API-Version",
    "X-Waitlist-Ticket",
];

/// The default headers of answers. Placement has the same.
const EXPOSED: [&str; 5] =
    ["X-Auth-Token", "X-Openstack-Request-Id", "X-Subject-Token", "X-Service-Token", "OpenStack-API-Version"];

impl Default for CorsSettings {
    fn default() -> Self {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        CorsSettings {
            allowed_origins: Vec::new(),
            allow_credentials: true,
            expose_headers: texts(&EXPOSED),
            max_age: 3600,
            allow_methods: texts(&METHODS),
            allow_headers: texts(&ALLOWED),
        }
    }
}

impl CorsSettings {
    /// Refuses values that are not allowed.
    pub(super) fn check(&self) -> Result<(), Error> {
        let is_origin = |text: &&String| *text == "*" || (text.contains("://") && !text.ends_with('/'));
        if let Some(odd) = self.allowed_origins.iter().find(|text| !is_origin(text)) {
            let problem = format!("{odd:?} is neither * nor like https://horizon.example.com");
            return invalid("cors.allowed_origins", problem);
        }
        Ok(())
    }
}

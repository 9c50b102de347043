//! The `[cors]` table: which web pages may call.

use serde::{Deserialize, Serialize};

use super::{Error, invalid};

/// The `[cors]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct CorsSettings {
    /// Origins whose pages may call, such as `https://horizon.example.com`; `*` for all.
    pub allowed_origins: Vec<String>,
    /// Whether such calls may carry what the browser knows of the user.
    pub allow_credentials: bool,
    /// Headers of answers that such pages may read, beside the simple ones.
    pub expose_headers: Vec<String>,
    /// How many seconds a browser may remember what is allowed.
    pub max_age: u32,
    /// Methods that such calls may have.
    pub allow_methods: Vec<String>,
    /// Headers that such calls may carry, beside the simple ones.
    pub allow_headers: Vec<String>,
}

/// Methods that pages may use by default, as with Placement.
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "PATCH"];

/// Headers that pages may send by default: those of Placement, and that of fenced writes.
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

/// Headers that pages may read by default, as with Placement.
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
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), Error> {
        let is_origin = |text: &&String| *text == "*" || (text.contains("://") && !text.ends_with('/'));
        if let Some(odd) = self.allowed_origins.iter().find(|text| !is_origin(text)) {
            let problem = format!("{odd:?} is neither * nor like https://horizon.example.com");
            return invalid("cors.allowed_origins", problem);
        }
        Ok(())
    }
}

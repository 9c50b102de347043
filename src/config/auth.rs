//! The `[auth]` table: how requests say who they are from.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Error, invalid};

/// The `[auth]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct AuthSettings {
    /// How requests say who they are from.
    pub strategy: String,
    /// Lets noauth2 listen on addresses that other machines reach.
    pub insecure_noauth2: bool,
}

impl Default for AuthSettings {
    fn default() -> Self {
        AuthSettings { strategy: "noauth2".to_owned(), insecure_noauth2: false }
    }
}

impl AuthSettings {
    /// Whether the values make sense where the service listens at `listen`.
    pub(super) fn check(&self, listen: SocketAddr) -> Result<(), Error> {
        match self.strategy.as_str() {
            "noauth2" => {}
            "keystone" => {
                return invalid("auth.strategy", "keystone is not supported yet: use noauth2".to_owned());
            }
            _ => return invalid("auth.strategy", "unknown strategy: use noauth2".to_owned()),
        }
        if !listen.ip().is_loopback() && !self.insecure_noauth2 {
            return invalid(
                "listen",
                format!(
                    "noauth2 believes whatever a request says of itself, and {listen} is not a loopback address: \
                     --insecure-noauth2 allows that all the same"
                ),
            );
        }
        Ok(())
    }
}

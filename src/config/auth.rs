//! The `[auth]` table: the authentication of requests.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Error, invalid};
use crate::auth::keystone;

/// The `[auth]` table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct AuthSettings {
    /// The way in which requests are authenticated.
    pub strategy: AuthStrategy,
    /// Allows noauth2 on addresses that other machines can reach.
    pub insecure_noauth2: bool,
    /// The `[auth.keystone]` table.
    pub keystone: keystone::Settings,
}

/// The way in which requests are authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthStrategy {
    /// The headers of each request are believed.
    #[default]
    Noauth2,
    /// Each request has a token of Keystone.
    Keystone,
}

impl AuthSettings {
    /// Refuses values that do not fit a service that listens on `listen`.
    pub(super) fn check(&self, listen: SocketAddr) -> Result<(), Error> {
        match self.strategy {
            AuthStrategy::Keystone => {
                self.keystone.check().or_else(|wrong| invalid(wrong.key, wrong.problem))
            }
            AuthStrategy::Noauth2 if !listen.ip().is_loopback() && !self.insecure_noauth2 => invalid(
                "listen",
                format!(
                    "noauth2 believes every request, and {listen} is not a loopback address: --insecure-noauth2 \
                     allows this"
                ),
            ),
            AuthStrategy::Noauth2 => Ok(()),
        }
    }
}

//! The `[auth]` table: the authentication of requests.

use serde::{Deserialize, Serialize};

use super::keystone;
use crate::setting::Unusable;

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
    /// Refuses values that are not allowed.
    pub fn check(&self) -> Result<(), Unusable> {
        match self.strategy {
            AuthStrategy::Keystone => self.keystone.check(),
            AuthStrategy::Noauth2 => Ok(()),
        }
    }
}

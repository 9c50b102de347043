//! The `[auth]` table of the configuration.

use serde::{Deserialize, Serialize};

use super::keystone;
use crate::setting::Unusable;

/// The `[auth]` table of the configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct AuthSettings {
    /// The means by which requests are authenticated.
    pub strategy: AuthStrategy,
    /// Whether noauth2 is allowed on addresses that other machines can reach.
    pub insecure_noauth2: bool,
    /// The `[auth.keystone]` table.
    pub keystone: keystone::Settings,
}

/// The means by which requests are authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthStrategy {
    /// The service takes the identity from the headers of a request, without any check.
    #[default]
    Noauth2,
    /// Each request needs a token, which Keystone validates.
    Keystone,
}

impl AuthSettings {
    /// Fails if a setting of the chosen strategy is missing or wrong.
    pub fn check(&self) -> Result<(), Unusable> {
        match self.strategy {
            AuthStrategy::Keystone => self.keystone.check(),
            AuthStrategy::Noauth2 => Ok(()),
        }
    }
}

//! The `[auth]` table: how requests say who they are from.

use std::env;
use std::net::SocketAddr;

use figment::Figment;
use serde::{Deserialize, Serialize};

use super::{ENV_PREFIX, Error, invalid};
use crate::auth::keystone;

/// The `[auth]` table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct AuthSettings {
    /// How requests say who they are from.
    pub strategy: AuthStrategy,
    /// Lets noauth2 listen on addresses that other machines reach.
    pub insecure_noauth2: bool,
    /// The `[auth.keystone]` table.
    pub keystone: keystone::Settings,
}

/// How requests say who they are from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthStrategy {
    /// They are believed whatever they say.
    #[default]
    Noauth2,
    /// With tokens of Keystone.
    Keystone,
}

impl AuthSettings {
    /// Whether the values make sense where the service listens at `listen`.
    pub(super) fn check(&self, listen: SocketAddr) -> Result<(), Error> {
        match self.strategy {
            AuthStrategy::Keystone => {
                self.keystone.check().or_else(|wrong| invalid(wrong.key, wrong.problem))
            }
            AuthStrategy::Noauth2 if !listen.ip().is_loopback() && !self.insecure_noauth2 => invalid(
                "listen",
                format!(
                    "noauth2 believes whatever a request says of itself, and {listen} is not a loopback address: \
                     --insecure-noauth2 allows that all the same"
                ),
            ),
            AuthStrategy::Noauth2 => Ok(()),
        }
    }
}

/// Takes texts from the environment as they are: an id of digits or a password in brackets is no
/// number and no list.
pub(super) fn take_texts(mut figment: Figment) -> Figment {
    for key in keystone::TEXT_KEYS {
        let variable = format!("{ENV_PREFIX}AUTH__KEYSTONE__{}", key.to_ascii_uppercase());
        if let Ok(text) = env::var(variable) {
            figment = figment.merge((format!("auth.keystone.{key}"), text));
        }
    }
    figment
}

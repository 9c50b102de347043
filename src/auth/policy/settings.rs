//! The `[policy]` table: the rules of authorization.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::rules::Options;
use crate::auth::settings::AuthStrategy;

/// The `[policy]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct PolicySettings {
    /// The policy file, whose rules replace the default ones of the same names.
    pub file: Option<PathBuf>,
    /// Whether the deprecated rules are off. They allow admins everything. By default, they are off with
    /// Keystone and on with noauth2.
    pub enforce_new_defaults: Option<bool>,
    /// Whether a rule also checks the scope of the token.
    pub enforce_scope: bool,
}

impl Default for PolicySettings {
    fn default() -> Self {
        PolicySettings { file: None, enforce_new_defaults: None, enforce_scope: true }
    }
}

impl PolicySettings {
    /// The options of the rules, with the defaults for this way of authentication.
    #[must_use]
    pub fn options(&self, strategy: AuthStrategy) -> Options {
        let by_strategy = strategy == AuthStrategy::Keystone;
        Options {
            enforce_new_defaults: self.enforce_new_defaults.unwrap_or(by_strategy),
            enforce_scope: self.enforce_scope,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_defaults_are_those_of_keystone_unless_told_otherwise() {
        for (set, strategy, expected) in [
            (None, AuthStrategy::Keystone, true),
            (None, AuthStrategy::Noauth2, false),
            (Some(false), AuthStrategy::Keystone, false),
            (Some(true), AuthStrategy::Noauth2, true),
        ] {
            let settings = PolicySettings { enforce_new_defaults: set, ..PolicySettings::default() };
            assert_eq!(settings.options(strategy).enforce_new_defaults, expected, "{set:?} {strategy:?}");
        }
    }
}

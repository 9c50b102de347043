//! The `[policy]` table of the configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::rules::{FALLBACK, Options};
use crate::auth::settings::AuthStrategy;

/// The `[policy]` table of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct PolicySettings {
    /// The path of the policy file. The rules of the file replace the default rules of the same names.
    pub file: Option<PathBuf>,
    /// The directories of more policy files. The rules of their files replace those of `file`.
    pub dirs: Vec<PathBuf>,
    /// The name of the rule that applies where a rule refers to a rule that does not exist.
    pub default_rule: String,
    /// Whether the rules of older Placement releases are ignored. The older rules allow the role `admin` everything.
    /// By default, the older rules are ignored with Keystone, and are in force with noauth2.
    pub enforce_new_defaults: Option<bool>,
    /// Whether the scope of the token must be one of the rule's scopes.
    pub enforce_scope: bool,
}

impl Default for PolicySettings {
    fn default() -> Self {
        PolicySettings {
            file: None,
            dirs: Vec::new(),
            default_rule: FALLBACK.to_owned(),
            enforce_new_defaults: None,
            enforce_scope: true,
        }
    }
}

impl PolicySettings {
    /// Returns the options of the rules. If `enforce_new_defaults` is not set, the option is true only with Keystone.
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

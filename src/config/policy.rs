//! The `[policy]` table: who may do what.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::auth::policy;

/// The `[policy]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct PolicySettings {
    /// Rules in place of the default ones.
    pub file: Option<PathBuf>,
    /// Whether the deprecated rules, under which admins may do everything, are gone.
    pub enforce_new_defaults: bool,
    /// Whether a token's scope counts.
    pub enforce_scope: bool,
}

impl Default for PolicySettings {
    fn default() -> Self {
        PolicySettings { file: None, enforce_new_defaults: false, enforce_scope: true }
    }
}

impl PolicySettings {
    /// How the rules are to be taken.
    #[must_use]
    pub fn options(&self) -> policy::Options {
        policy::Options { enforce_new_defaults: self.enforce_new_defaults, enforce_scope: self.enforce_scope }
    }
}

//! The settings, one struct.

use std::net::SocketAddr;

/// Everything that can be configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the server listens.
    pub listen: SocketAddr,
    /// How requests are authorised.
    pub policy: PolicySettings,
    /// What a single request may cost.
    pub limits: Limits,
}

/// The `[policy]` table.
#[derive(Clone, Debug)]
pub struct PolicySettings {
    /// Whether the deprecated rules are gone.
    pub enforce_new_defaults: bool,
    /// Whether a token's scope counts.
    pub enforce_scope: bool,
}

/// The `[limits]` table.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest request body.
    pub body_bytes: usize,
    /// Longest query string.
    pub query_bytes: usize,
}

//! The settings, one struct.

use std::net::SocketAddr;

/// Everything that can be configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the server listens.
    pub listen: SocketAddr,
    /// The database.
    pub database: DatabaseSettings,
    /// How requests are authorised.
    pub policy: PolicySettings,
    /// What a single request may cost.
    pub limits: Limits,
}

/// The `[database]` table.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// Where it is.
    pub url: String,
    /// How many connections.
    pub pool_size: u32,
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

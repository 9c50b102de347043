//! The `[admin]` table of the settings: the address of health and metrics.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The `[admin]` table of the settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct AdminSettings {
    /// The address of health and metrics. With None, the address of the API serves health and metrics.
    pub listen: Option<SocketAddr>,
}

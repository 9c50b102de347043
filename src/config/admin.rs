//! The `[admin]` table of the settings: the address of health and metrics.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The `[admin]` table of the settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct AdminSettings {
    /// The address of the health checks and the metrics. If None, the API's address also serves the checks and the
    /// metrics.
    pub listen: Option<SocketAddr>,
}

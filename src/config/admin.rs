//! The `[admin]` table: the address of health and metrics.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The `[admin]` table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct AdminSettings {
    /// The address of health and metrics, if they are not on the service's own address.
    pub listen: Option<SocketAddr>,
}

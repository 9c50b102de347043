//! The `[admin]` table: the address of health and metrics.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Error, invalid};

/// The `[admin]` table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct AdminSettings {
    /// The address of health and metrics, if they are not on the service's own address.
    pub listen: Option<SocketAddr>,
}

impl AdminSettings {
    /// Refuses values that do not fit a service that listens on `listen`.
    pub(super) fn check(&self, listen: SocketAddr) -> Result<(), Error> {
        if self.listen.is_some_and(|own| own == listen && own.port() != 0) {
            return invalid("admin.listen", format!("{listen} is the address of the service"));
        }
        Ok(())
    }
}

//! The `[admin]` table: where operators' machinery asks.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Error, invalid};

/// The `[admin]` table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct AdminSettings {
    /// Where health and metrics are, in place of the service's own address.
    pub listen: Option<SocketAddr>,
}

impl AdminSettings {
    /// Whether the values make sense where the service listens at `listen`.
    pub(super) fn check(&self, listen: SocketAddr) -> Result<(), Error> {
        if self.listen.is_some_and(|own| own == listen && own.port() != 0) {
            return invalid("admin.listen", format!("{listen} is the address of the service"));
        }
        Ok(())
    }
}

//! The APIs that each listening address of the service serves.

use crate::api::route::Dialect;

/// The APIs that one listening address serves. The actix application of an address stores this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Placement's API and the CNAPI dialects (tickets in the API of Triton), with authentication. Health and
    /// metrics are included if no separate address serves them.
    Api {
        /// True if this address serves health and metrics.
        admin: bool,
    },
    /// Only the CNAPI dialects, without authentication.
    Cnapi,
    /// Only health and metrics.
    Admin,
}

impl Door {
    /// Returns true if this address serves the routes of an API.
    #[must_use]
    pub fn serves(self, dialect: Dialect) -> bool {
        match self {
            Door::Api { admin } => admin || dialect != Dialect::Admin,
            other => other.dialect() == dialect,
        }
    }

    /// Returns the API whose error format is used for a path without a route.
    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Door::Api { .. } => Dialect::Placement,
            Door::Cnapi => Dialect::Cnapi,
            Door::Admin => Dialect::Admin,
        }
    }
}

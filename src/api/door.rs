//! The addresses of the service, and the APIs that each serves.

use crate::api::route::Dialect;

/// The APIs that are served at an address. Each application of actix-web holds one door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The API, with health and metrics where these have no address of their own.
    Api {
        /// Whether health and metrics are served here.
        admin: bool,
    },
    /// The dialects of CNAPI alone, without a token.
    Cnapi,
    /// Health and metrics alone.
    Admin,
}

impl Door {
    /// Whether the routes of this API are served here.
    #[must_use]
    pub fn serves(self, dialect: Dialect) -> bool {
        match self {
            Door::Api { admin } => admin || dialect != Dialect::Admin,
            other => other.dialect() == dialect,
        }
    }

    /// The API whose form of errors tells that a path does not exist.
    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Door::Api { .. } => Dialect::Placement,
            Door::Cnapi => Dialect::Cnapi,
            Door::Admin => Dialect::Admin,
        }
    }
}

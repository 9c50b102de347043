//! The `[tls]` table: the certificate under which the service is served.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Error, invalid};

/// The `[tls]` table. Without files the service speaks plain HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct TlsSettings {
    /// PEM file with the certificate, and those between it and its authority.
    pub cert: Option<PathBuf>,
    /// PEM file with its private key.
    pub key: Option<PathBuf>,
}

impl TlsSettings {
    /// The files, if there are any.
    #[must_use]
    pub fn files(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.cert.as_ref().zip(self.key.as_ref())
    }

    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), Error> {
        match (&self.cert, &self.key) {
            (Some(_), None) => invalid("tls.key", "tls.cert is set, so this is needed too".to_owned()),
            (None, Some(_)) => invalid("tls.cert", "tls.key is set, so this is needed too".to_owned()),
            _ => Ok(()),
        }
    }
}

//! The `[tls]` table of the settings: the certificate of the service.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::setting::{Unusable, refuse};

/// The `[tls]` table of the settings. Without certificate files, the service uses plain HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct TlsSettings {
    /// The path of a PEM file with the certificate, followed by the intermediate certificates.
    pub cert: Option<PathBuf>,
    /// The path of a PEM file with the private key of the certificate.
    pub key: Option<PathBuf>,
}

impl TlsSettings {
    /// Returns the paths of the certificate and of the key. Returns None if one of the paths is not set.
    #[must_use]
    pub fn files(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.cert.as_ref().zip(self.key.as_ref())
    }

    /// Refuses a certificate without a key, and a key without a certificate.
    pub(super) fn check(&self) -> Result<(), Unusable> {
        match (&self.cert, &self.key) {
            (Some(_), None) => refuse("tls.key", "tls.cert is set, so this is needed too"),
            (None, Some(_)) => refuse("tls.cert", "tls.key is set, so this is needed too"),
            _ => Ok(()),
        }
    }
}

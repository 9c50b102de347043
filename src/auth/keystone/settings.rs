//! The `[auth.keystone]` table: the address of Keystone, the service's credentials, and the cache of tokens.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The keys of `[auth.keystone]` whose values are texts. If an environment variable sets such a key, the value stays
/// a text, even if the value looks like a number.
pub const TEXT_KEYS: [&str; 17] = [
    "auth_url",
    "www_authenticate_uri",
    "username",
    "user_id",
    "user_domain_name",
    "user_domain_id",
    "password",
    "project_name",
    "project_id",
    "project_domain_name",
    "project_domain_id",
    "system_scope",
    "application_credential_id",
    "application_credential_name",
    "application_credential_secret",
    "region_name",
    "service_type",
];

/// A secret text. `Debug` prints `…` instead of the text.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Returns the secret text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The kind of a URL in Keystone's catalog (the list of all services). A service has up to three URLs (endpoints).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// The endpoint for other services of OpenStack.
    Internal,
    /// The endpoint for all clients.
    Public,
    /// The endpoint for administrators.
    Admin,
}

impl Interface {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Public => "public",
            Self::Admin => "admin",
        }
    }
}

/// The `[auth.keystone]` table. Other OpenStack services use the same names for the keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Settings {
    /// The URL of Keystone, with or without `/v3`.
    pub auth_url: String,
    /// The URL of Keystone in the header `WWW-Authenticate` for clients. By default, `auth_url` is used.
    pub www_authenticate_uri: Option<String>,
    /// The name of the service's own user.
    pub username: Option<String>,
    /// The id of the service's own user.
    pub user_id: Option<String>,
    /// The name of the user's domain. If both name and id are missing, the domain is `Default`.
    pub user_domain_name: Option<String>,
    /// The id of the user's domain.
    pub user_domain_id: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The name of the project in which the service's user has its role.
    pub project_name: Option<String>,
    /// The id of the project in which the service's user has its role.
    pub project_id: Option<String>,
    /// The name of the project's domain. If both name and id are missing, the domain is `Default`.
    pub project_domain_name: Option<String>,
    /// The id of the project's domain.
    pub project_domain_id: Option<String>,
    /// `all` if the service's user has its role on the whole system instead of a project.
    pub system_scope: Option<String>,
    /// The id of an application credential (a password for programs), which replaces user and password.
    pub application_credential_id: Option<String>,
    /// The name of an application credential. With a name instead of an id, the user must be set too.
    pub application_credential_name: Option<String>,
    /// The secret of the application credential.
    pub application_credential_secret: Option<Secret>,
    /// The region of the Keystone that validates tokens. By default, the first Keystone in the catalog is asked.
    pub region_name: Option<String>,
    /// The kind of the Keystone URL at which tokens are validated.
    pub interface: Interface,
    /// The PEM file of trusted certificate authorities. By default, the system's authorities are trusted.
    pub ca_file: Option<PathBuf>,
    /// The PEM file of the certificate with which the service identifies itself to Keystone.
    pub cert_file: Option<PathBuf>,
    /// The PEM file of the private key of `cert_file`. By default, the key is in `cert_file`.
    pub key_file: Option<PathBuf>,
    /// Whether any certificate of Keystone is accepted.
    pub insecure: bool,
    /// The names of the roles of services. A service token is valid only if it has one of these roles.
    pub service_token_roles: Vec<String>,
    /// The type of this service in the access rules of application credentials.
    pub service_type: String,
    /// The time for which a validated token is stored in the cache, in seconds. 0 turns the cache off.
    pub cache_seconds: u64,
    /// The largest number of tokens in the cache.
    pub cache_size: u64,
    /// The time limit for a connection to Keystone, in seconds.
    pub connect_seconds: u64,
    /// The time limit for the validation of a token, in seconds. A slower request is answered 503.
    pub timeout_seconds: u64,
    /// The largest number of concurrent requests to Keystone. Further requests wait.
    pub connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auth_url: String::new(),
            www_authenticate_uri: None,
            username: None,
            user_id: None,
            user_domain_name: None,
            user_domain_id: None,
            password: None,
            project_name: None,
            project_id: None,
            project_domain_name: None,
            project_domain_id: None,
            system_scope: None,
            application_credential_id: None,
            application_credential_name: None,
            application_credential_secret: None,
            region_name: None,
            interface: Interface::Internal,
            ca_file: None,
            cert_file: None,
            key_file: None,
            insecure: false,
            service_token_roles: vec!["service".to_owned()],
            service_type: "placement".to_owned(),
            cache_seconds: 300,
            cache_size: 10_000,
            connect_seconds: 5,
            timeout_seconds: 15,
            connections: 32,
        }
    }
}

impl Settings {
    /// Returns the paths of the service's own certificate and of its key, if there is a certificate.
    pub(super) fn own_files(&self) -> Option<(&Path, &Path)> {
        let certificate = self.cert_file.as_deref()?;
        Some((certificate, self.key_file.as_deref().unwrap_or(certificate)))
    }

    /// Returns the time for which a validated token is stored in the cache.
    #[must_use]
    pub fn cache_time(&self) -> Duration {
        Duration::from_secs(self.cache_seconds)
    }
}

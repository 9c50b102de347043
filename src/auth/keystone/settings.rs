//! The `[auth.keystone]` table: where Keystone is, who we are to it, and how long an answer holds.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::credentials::Credentials;

/// Keys whose values are texts. A password may look like a number, and stays what it is.
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

/// A setting that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct Unusable {
    /// The key, with its table.
    pub key: &'static str,
    /// What is wrong with its value.
    pub problem: String,
}

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for whom it is meant.
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

/// Which of a service's endpoints is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// For services among themselves.
    Internal,
    /// For everybody.
    Public,
    /// For administrators.
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

/// The `[auth.keystone]` table. The keys are those of OpenStack's other services where they have one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Settings {
    /// Where to get a token, with or without `/v3`.
    pub auth_url: String,
    /// Where clients are told to get theirs; `auth_url` when absent.
    pub www_authenticate_uri: Option<String>,
    /// The service's own user.
    pub username: Option<String>,
    /// The same by its id.
    pub user_id: Option<String>,
    /// The user's domain; `Default` when neither it nor its id is there.
    pub user_domain_name: Option<String>,
    /// The same by its id.
    pub user_domain_id: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The project that the user has its role in.
    pub project_name: Option<String>,
    /// The same by its id.
    pub project_id: Option<String>,
    /// The project's domain; `Default` when neither it nor its id is there.
    pub project_domain_name: Option<String>,
    /// The same by its id.
    pub project_domain_id: Option<String>,
    /// `all`, if the user has its role on the system and not in a project.
    pub system_scope: Option<String>,
    /// An application credential in place of user and password.
    pub application_credential_id: Option<String>,
    /// The same by its name, of a user that is named too.
    pub application_credential_name: Option<String>,
    /// The application credential's secret.
    pub application_credential_secret: Option<Secret>,
    /// The region in which Keystone is looked up in its catalog; any when absent.
    pub region_name: Option<String>,
    /// The interface by which Keystone is looked up in its catalog.
    pub interface: Interface,
    /// PEM file with the certificate authorities, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// The roles one of which a service token must have.
    pub service_token_roles: Vec<String>,
    /// What access rules of application credentials call this service.
    pub service_type: String,
    /// How many seconds a validated token is believed without asking again; 0 for not at all.
    pub cache_seconds: u64,
    /// How many tokens are kept.
    pub cache_size: u64,
    /// How many seconds connecting to Keystone may take.
    pub connect_seconds: u64,
    /// How many seconds a token's validation may take in all; then 503.
    pub timeout_seconds: u64,
    /// How many requests to Keystone are under way at once; more wait.
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
    /// Whether they are complete and make sense.
    pub fn check(&self) -> Result<(), Unusable> {
        let wrong = |key, problem: &str| Err(Unusable { key, problem: problem.to_owned() });
        if self.auth_url.is_empty() {
            return wrong("auth.keystone.auth_url", "is needed where auth.strategy is keystone");
        }
        check_url("auth.keystone.auth_url", &self.auth_url)?;
        if let Some(uri) = &self.www_authenticate_uri {
            check_url("auth.keystone.www_authenticate_uri", uri)?;
        }
        Credentials::new(self)?;
        if self.service_token_roles.is_empty() {
            return wrong("auth.keystone.service_token_roles", "at least one role is needed");
        }
        for (key, value) in [
            ("auth.keystone.connect_seconds", self.connect_seconds),
            ("auth.keystone.timeout_seconds", self.timeout_seconds),
            ("auth.keystone.connections", self.connections as u64),
        ] {
            if value == 0 || value > 3600 {
                return wrong(key, &format!("{value} is not between 1 and 3600"));
            }
        }
        Ok(())
    }

    /// How long a validated token is believed.
    #[must_use]
    pub fn cache_time(&self) -> Duration {
        Duration::from_secs(self.cache_seconds)
    }
}

/// The problem does not show the URL, in which a password may be.
fn check_url(key: &'static str, text: &str) -> Result<(), Unusable> {
    let wrong = |problem: &str| Err(Unusable { key, problem: problem.to_owned() });
    match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host().is_none() => {
            wrong("it is no http:// or https:// URL")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            wrong("user and password have keys of their own and do not belong into the URL")
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() || text.contains('"') => {
            wrong("it has more than scheme, host, port and path")
        }
        Ok(_) => Ok(()),
        Err(error) => wrong(&format!("it is no URL: {error}")),
    }
}

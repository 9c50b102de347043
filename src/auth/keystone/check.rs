//! The checks of the `[auth.keystone]` table before the service starts.

use reqwest::Url;

use super::credentials::Credentials;
use super::settings::Settings;
use crate::setting::Unusable;

impl Settings {
    /// Fails if a setting is missing or wrong.
    pub fn check(&self) -> Result<(), Unusable> {
        let wrong = |key, problem: &str| Err(Unusable { key, problem: problem.to_owned() });
        if self.auth_url.is_empty() {
            return wrong("auth.keystone.auth_url", "is needed if auth.strategy is keystone");
        }
        check_url("auth.keystone.auth_url", &self.auth_url)?;
        if let Some(uri) = &self.www_authenticate_uri {
            check_url("auth.keystone.www_authenticate_uri", uri)?;
        }
        Credentials::new(self)?;
        if self.key_file.is_some() && self.cert_file.is_none() {
            return wrong("auth.keystone.cert_file", "is needed with auth.keystone.key_file");
        }
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
}

/// Fails if the URL can't be used. The error does not contain the URL, since the URL may contain a password.
fn check_url(key: &'static str, text: &str) -> Result<(), Unusable> {
    let wrong = |problem: &str| Err(Unusable { key, problem: problem.to_owned() });
    match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host().is_none() => {
            wrong("it must be an http:// or https:// URL")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            wrong("user and password have keys of their own and do not belong into the URL")
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() || text.contains('"') => {
            wrong("it must have only scheme, host, port and path")
        }
        Ok(_) => Ok(()),
        Err(error) => wrong(&format!("it is no URL: {error}")),
    }
}

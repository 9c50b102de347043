//! The log-in at Keystone, which exchanges credentials for a token.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::answer;
use super::credentials::Credentials;
use super::settings::{Interface, Settings};
use crate::setting::Unusable;

pub(super) const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// The address of a Keystone, and the credentials for it.
#[derive(Clone, Debug)]
pub struct LogIn {
    http: reqwest::Client,
    at: Url,
    credentials: Credentials,
}

/// The reason for which there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// Keystone does not accept the credentials.
    #[error("it refuses our credentials")]
    Refused,
    /// Keystone gives no usable answer. The text is the reason.
    #[error("{0}")]
    Unavailable(String),
}

/// A token that Keystone has issued.
#[derive(Debug)]
pub struct Issued {
    token: HeaderValue,
    described: Described,
}

/// The parts of Keystone's answer that describe the token.
#[derive(Deserialize)]
struct Body {
    token: Described,
}

#[derive(Debug, Deserialize)]
struct Described {
    expires_at: DateTime<Utc>,
    #[serde(default)]
    issued_at: Option<DateTime<Utc>>,
    #[serde(default)]
    catalog: Vec<Service>,
}

#[derive(Debug, Deserialize)]
struct Service {
    #[serde(rename = "type")]
    service_type: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    interface: String,
    #[serde(default)]
    region_id: Option<String>,
    url: String,
}

impl LogIn {
    /// A log-in by the settings. `http` must not follow redirections, since no other host may get the
    /// password.
    pub fn new(settings: &Settings, http: reqwest::Client) -> Result<Self, Unusable> {
        let at = Url::parse(&settings.auth_url)
            .map_err(|error| Unusable { key: "auth.keystone.auth_url", problem: error.to_string() })?;
        Ok(Self { http, at: tokens_of(at), credentials: Credentials::new(settings)? })
    }

    /// Gets a token.
    pub async fn log_in(&self) -> Result<Issued, NoToken> {
        let unavailable = |cause: String| Err(NoToken::Unavailable(cause));
        let request = self.http.post(self.at.clone()).json(self.credentials.body());
        let response = request.send().await.map_err(|error| NoToken::Unavailable(answer::network(&error)))?;
        match response.status() {
            StatusCode::CREATED => {}
            StatusCode::UNAUTHORIZED => return Err(NoToken::Refused),
            other => return unavailable(format!("{} answered {other} to the credentials", self.at)),
        }
        let Some(mut token) = response.headers().get(SUBJECT_TOKEN).cloned() else {
            return unavailable(format!("{} gave no token", self.at));
        };
        token.set_sensitive(true);
        let body: Body = answer::read(response).await.map_err(NoToken::Unavailable)?;
        Ok(Issued { token, described: body.token })
    }
}

impl Issued {
    /// The token, which is marked as a secret.
    #[must_use]
    pub fn token(&self) -> &HeaderValue {
        &self.token
    }

    /// The end of the token, by Keystone's clock.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        self.described.expires_at.into()
    }

    /// The whole lifetime of the token, if Keystone tells it. The lifetime does not depend on clocks.
    #[must_use]
    pub fn lasts(&self) -> Option<Duration> {
        let lasts = self.described.expires_at.signed_duration_since(self.described.issued_at?);
        lasts.to_std().ok().filter(|lasts| !lasts.is_zero())
    }

    /// The URL of a service in the catalog. Without a region, it is the first one.
    #[must_use]
    pub fn endpoint(&self, service_type: &str, interface: Interface, region: Option<&str>) -> Option<&str> {
        let services = self.described.catalog.iter().filter(|service| service.service_type == service_type);
        services
            .flat_map(|service| &service.endpoints)
            .find(|endpoint| {
                endpoint.interface == interface.as_str()
                    && region.is_none_or(|region| endpoint.region_id.as_deref() == Some(region))
            })
            .map(|endpoint| endpoint.url.as_str())
    }
}

/// The address of tokens at a Keystone. `base` may be the address of version 3 or of the list of versions.
pub(super) fn tokens_of(mut base: Url) -> Url {
    let is_v3 = base.path().trim_end_matches('/').ends_with("/v3");
    // A URL of http or https can always be a base.
    if let Ok(mut path) = base.path_segments_mut() {
        path.pop_if_empty();
        if !is_v3 {
            path.push("v3");
        }
        path.extend(["auth", "tokens"]);
    }
    base
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keystone_is_found_with_and_without_its_version() {
        for (base, tokens) in [
            ("http://k:5000", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/v3", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/v3/", "http://k:5000/v3/auth/tokens"),
            ("https://k/identity", "https://k/identity/v3/auth/tokens"),
            ("https://k/identity/v3", "https://k/identity/v3/auth/tokens"),
        ] {
            assert_eq!(tokens_of(Url::parse(base).unwrap()).as_str(), tokens);
        }
    }

    #[test]
    fn the_catalog_is_searched_by_interface_and_region() {
        let endpoint = |interface: &str, region: &str| {
            json!({"id": "e", "interface": interface, "region": region, "region_id": region,
                   "url": format!("http://{interface}.{region}/")})
        };
        let body: Body = serde_json::from_value(json!({"token": {
            "expires_at": "2026-01-01T01:00:00.000000Z",
            "catalog": [
                {"type": "placement", "endpoints": [endpoint("internal", "one")]},
                {"type": "identity", "endpoints": [endpoint("public", "one"), endpoint("internal", "one"),
                                                   endpoint("internal", "two")]},
            ],
        }}))
        .unwrap();
        let issued = Issued { token: HeaderValue::from_static("t"), described: body.token };
        let found = |interface, region| issued.endpoint("identity", interface, region);
        assert_eq!(found(Interface::Internal, None), Some("http://internal.one/"));
        assert_eq!(found(Interface::Internal, Some("two")), Some("http://internal.two/"));
        assert_eq!(found(Interface::Public, Some("two")), None);
        assert_eq!(found(Interface::Admin, None), None);
    }
}

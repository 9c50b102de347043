//! The log-in at Keystone: credentials are exchanged for a token.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::Deserialize;

use super::answer;
use super::credentials::Credentials;
use super::settings::{Interface, Settings};
use crate::facts;
use crate::setting::Unusable;
use crate::trace::Trace;

pub(super) const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// The means to get a token: the URL of Keystone, and the credentials.
#[derive(Clone, Debug)]
pub struct LogIn {
    http: reqwest::Client,
    at: Url,
    credentials: Credentials,
}

/// The reason why no token was issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// Keystone does not accept the credentials.
    #[error("it refuses our credentials")]
    Refused,
    /// Keystone did not answer, or its answer is unusable. The text is for the log.
    #[error("{0}")]
    Unavailable(String),
}

/// A token that Keystone has issued.
#[derive(Debug)]
pub struct Issued {
    token: HeaderValue,
    described: Described,
}

/// The body of Keystone's answer, which describes the token.
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
    /// Prepares a log-in. `http` must not follow redirections, which could send the password to another host.
    pub fn new(settings: &Settings, http: reqwest::Client) -> Result<Self, Unusable> {
        let at = Url::parse(&settings.auth_url)
            .map_err(|error| Unusable { key: "auth.keystone.auth_url", problem: error.to_string() })?;
        Ok(Self { http, at: tokens_of(at), credentials: Credentials::new(settings)? })
    }

    /// Gets a new token from Keystone.
    pub async fn log_in(&self) -> Result<Issued, NoToken> {
        let unavailable = |cause: String| Err(NoToken::Unavailable(cause));
        let request = in_trace(self.http.post(self.at.clone()).json(self.credentials.body()));
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
    /// Returns the token. The value is marked as sensitive, so that it is never printed.
    #[must_use]
    pub fn token(&self) -> &HeaderValue {
        &self.token
    }

    /// Returns the time at which the token expires, by Keystone's clock.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        self.described.expires_at.into()
    }

    /// Returns the lifetime of the token from its issue to its expiry, or `None` if Keystone's answer has no
    /// time of issue. Keystone's clock gives both times, so a wrong clock on this host does not matter.
    #[must_use]
    pub fn lasts(&self) -> Option<Duration> {
        let lasts = self.described.expires_at.signed_duration_since(self.described.issued_at?);
        lasts.to_std().ok().filter(|lasts| !lasts.is_zero())
    }

    /// Returns the URL of a service from Keystone's catalog: the first URL with this interface in this
    /// region. If `region` is `None`, URLs of all regions are considered.
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

/// Adds the headers of the trace to which the present request of a client belongs.
pub(super) fn in_trace(request: RequestBuilder) -> RequestBuilder {
    let facts = facts::current();
    let trace = facts.as_ref().and_then(|facts| facts.trace.as_ref());
    let headers = trace.into_iter().flat_map(Trace::headers);
    headers.fold(request, |request, (name, value)| request.header(name, value))
}

/// Returns the URL `…/v3/auth/tokens` of a Keystone. `base` is the URL of Keystone with or without `/v3`.
pub(super) fn tokens_of(mut base: Url) -> Url {
    let is_v3 = base.path().trim_end_matches('/').ends_with("/v3");
    // `path_segments_mut` fails only for URLs such as `mailto:`. An http or https URL always has a path.
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

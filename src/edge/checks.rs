//! The checks of a request's head (method, path and headers). `pipeline.rs` calls the checks in order.

use actix_web::http::header::{HeaderMap, HeaderName};

use super::exchange::{Exchange, joined};
use super::origin;
use super::request_body::Announced;
use crate::api::routes::{BodyKind, Dialect, Found, Params, Route, TooOld};
use crate::api::{Door, cnapi, permission};
use crate::auth::policy::{self, Target};
use crate::auth::{self, Identity, Presented};
use crate::wire::error::ApiError;
use crate::wire::microversion::{Microversion, VersionError};
use crate::wire::query::Query;

pub(super) const API_VERSION: HeaderName = HeaderName::from_static("openstack-api-version");
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// The reason for which a request gets an error response.
pub(super) enum Refusal {
    /// The client is not authenticated. The response is a 401, whose body depends on the type of authentication.
    Unauthorized,
    Error(Box<ApiError>),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Error(Box::new(error))
    }
}

impl Exchange {
    /// Refuses a write at the CNAPI address (tickets in the API of Triton) if a browser sends the write for another
    /// site's web page. The CNAPI address needs no token, so any web page could otherwise send writes through the
    /// browsers of its visitors.
    pub(super) fn check_origin(&self) -> Result<(), ApiError> {
        let needs_no_check = self.resolved.door != Door::Cnapi || self.request.method().is_safe();
        if needs_no_check || !origin::is_foreign(self.request.headers()) {
            return Ok(());
        }
        Err(ApiError::forbidden("This address takes no requests of web pages."))
    }

    /// Returns the identity of the client. Routes that are open to all, the CNAPI address and the admin address
    /// need no authentication.
    pub(super) async fn identify(&self) -> Result<Identity, Refusal> {
        match self.resolved.door {
            Door::Cnapi => return Ok(cnapi::anybody()),
            Door::Admin => return Ok(Identity::default()),
            Door::Api { .. } if self.resolved.is_open => return Ok(Identity::default()),
            Door::Api { .. } => {}
        }
        let auth = &self.edge.auth;
        if let Some(why) = fault_of_identity(self.request.headers(), auth.headers()) {
            return Err(self.unknown_client(why));
        }
        let presented = Presented {
            // A scan of the few headers is faster than the construction of a `HeaderName`.
            header: |name: &str| {
                let found = self.request.headers().iter().find(|(known, _)| known.as_str() == name);
                found.and_then(|(_, value)| value.to_str().ok())
            },
            method: self.request.method().as_str(),
            path: self.path.routed.as_deref().unwrap_or_default(),
            base_path: self.edge.settings.base_path.as_str(),
        };
        auth.authenticate(presented).await.map_err(|error| match error {
            auth::Error::Unknown(why) => self.unknown_client(why),
            auth::Error::Unavailable(_) => ApiError::keystone_unavailable().before_handler().into(),
        })
    }

    fn unknown_client(&self, why: &str) -> Refusal {
        permission::log_unknown(self.request_id(), why);
        Refusal::Unauthorized
    }

    /// Returns the microversion (the API version of the request) in the header `OpenStack-API-Version`, or 1.0
    /// without this header.
    pub(super) fn read_version(&self) -> Result<Microversion, ApiError> {
        let header = joined(self.request.headers(), &API_VERSION);
        Microversion::from_header(header.as_deref()).map_err(|error| match error {
            VersionError::Unacceptable(_) => ApiError::not_acceptable(&self.accept, error.to_string()),
            VersionError::Malformed { .. } => ApiError::bad_request(error.to_string()),
        })
    }

    /// Refuses a request whose headers, query string or announced body exceed a limit of the settings. For
    /// Placement's API, also refuses a body without a content type.
    pub(super) fn check_size(&self) -> Result<(), ApiError> {
        let limits = &self.edge.settings.limits;
        let query = self.request.query_string();
        if query.len() > limits.query_bytes {
            return Err(ApiError::query_too_long(limits.query_bytes));
        }
        if Query::count(query) > limits.query_parameters {
            return Err(ApiError::too_many_parameters(limits.query_parameters));
        }
        if header_bytes(self.request.headers()) > limits.header_bytes {
            return Err(ApiError::headers_too_large(limits.header_bytes));
        }
        if self.content_length() > limits.body_bytes as u64 {
            return Err(ApiError::body_too_large(limits.body_bytes));
        }
        let is_typed = self.content_type().is_some() || !self.is_of(Dialect::Placement);
        if self.content_length() > 0 && !is_typed {
            let message = "content-type header required when content-length > 0";
            return Err(ApiError::bad_request(message));
        }
        Ok(())
    }

    /// Returns the route, and moves the values of the path's parameters out of `self`. Returns a 404 if the path
    /// has no route, or a 405 if the path has only routes with other methods.
    pub(super) fn take_route(&mut self) -> Result<(&'static Route, Params), ApiError> {
        let method = self.request.method();
        match &mut self.resolved.found {
            Found::Route(route, params) => Ok((*route, std::mem::take(params))),
            Found::OtherMethods(allow) => Err(ApiError::method_not_allowed(method, Some(allow.clone()))),
            Found::Nothing => Err(ApiError::not_found("").before_handler()),
        }
    }

    /// Refuses a version older than the route, a content type that the route does not read, and an `Accept` header
    /// that excludes JSON.
    pub(super) fn check_types(&self, route: &Route, version: Microversion) -> Result<(), ApiError> {
        if route.type_before_version {
            self.check_media_types(route, version)?;
        }
        if version < route.since {
            return Err(match route.too_old {
                TooOld::NotFound => ApiError::not_found(""),
                TooOld::MethodNotAllowed => ApiError::method_not_allowed(&route.method, None),
            });
        }
        self.check_media_types(route, version)
    }

    fn check_media_types(&self, route: &Route, version: Microversion) -> Result<(), ApiError> {
        if !self.has_media_type_of(route.body, version) {
            return Err(ApiError::unsupported_media_type(self.content_type()));
        }
        if route.accept_checked && !self.accept.takes_json() {
            let message = "Only application/json is provided";
            return Err(ApiError::not_acceptable(&self.accept, message));
        }
        Ok(())
    }

    fn has_media_type_of(&self, body: BodyKind, version: Microversion) -> bool {
        let is_json = || self.media_type() == Some(JSON);
        match body {
            BodyKind::Json => is_json(),
            BodyKind::JsonBefore(until) => version >= until || is_json(),
            BodyKind::JsonOrForm => {
                let is_either =
                    |kind: &str| [JSON, FORM].iter().any(|known| known.eq_ignore_ascii_case(kind));
                self.announced() == Announced::Nothing || self.media_type().is_none_or(is_either)
            }
            BodyKind::Ignored => true,
        }
    }

    /// Refuses a client if the policy rule of the route does not allow the request.
    pub(super) fn check_policy(
        &self,
        route: &Route,
        identity: &Identity,
        query: Option<&Query>,
    ) -> Result<(), ApiError> {
        let Some(rule) = route.rule else {
            return Ok(());
        };
        let target = Target::default();
        let target = match rule {
            policy::USAGES => target.with("project_id", query.and_then(|query| query.last("project_id"))),
            _ => target
                .with("project_id", identity.project.as_deref())
                .with("user_id", Some(identity.user.as_str())),
        };
        permission::check(&self.edge.app, rule, identity, &target, self.request_id())
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Checks the headers that identify the client, such as `X-Auth-Token`. `believed` has the names of these headers.
/// Returns a message if one of these headers is repeated or not ASCII, or None if there is no such fault.
fn fault_of_identity(headers: &HeaderMap, believed: &[&str]) -> Option<&'static str> {
    let mut seen = 0_u32;
    for (name, value) in headers {
        if let Some(place) = believed.iter().position(|known| *known == name.as_str()) {
            if value.to_str().is_err() {
                return Some("a header that says who asks is not ASCII");
            }
            if seen & (1 << place) != 0 {
                return Some("a header that says who asks is there twice");
            }
            seen |= 1 << place;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn headers_that_say_who_asks_are_plain_and_there_once() {
        let is_odd = |given: &[(&'static str, &[u8])]| {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
            }
            fault_of_identity(&headers, &["x-auth-token", "x-service-token"]).is_some()
        };
        assert!(!is_odd(&[]));
        assert!(!is_odd(&[("x-auth-token", b"a"), ("x-service-token", b""), ("x-other", b"\xe9")]));
        assert!(!is_odd(&[("x-other", b"a"), ("x-other", b"a")]));
        assert!(is_odd(&[("x-auth-token", b"a"), ("x-service-token", b"\xe9")]));
        assert!(is_odd(&[("x-auth-token", b"a\xff")]));
        assert!(is_odd(&[("x-auth-token", b"a"), ("x-auth-token", b"a")]));
    }
}

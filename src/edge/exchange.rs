//! A request during its processing: the facts about the request, and its access log line.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, web};
use log::Level;

use super::forwarded::{self, Origin};
use super::path::RequestPath;
use super::request_body::Announced;
use super::shared::Edge;
use super::{access_log, address};
use crate::api::Door;
use crate::api::routes::{self, Dialect, Resolved, Route};
use crate::auth::Identity;
use crate::facts::Facts;
use crate::metrics;
use crate::trace::{self, Trace};
use crate::wire::accept::Accept;
use crate::wire::error::ApiError;
use crate::wire::microversion::Microversion;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// A request, and the facts that the checks have found about the request.
pub(super) struct Exchange {
    pub(super) edge: web::Data<Edge>,
    pub(super) request: HttpRequest,
    pub(super) facts: Arc<Facts>,
    pub(super) started: Instant,
    pub(super) origin: Origin,
    pub(super) path: RequestPath,
    /// The route of the request, and the API of this route.
    pub(super) resolved: Resolved,
    pub(super) accept: Accept,
    /// The microversion (the API version) of the request. None before the check of the version, and for APIs
    /// without versions.
    pub(super) version: Option<Microversion>,
    /// True after the body was read to its end.
    pub(super) is_read: bool,
    is_logged: bool,
}

impl Exchange {
    pub(super) fn new(request: HttpRequest, edge: web::Data<Edge>) -> Exchange {
        let started = Instant::now();
        let settings = &edge.settings;
        let peer = request.peer_addr().map(|address| address.ip());
        let origin =
            forwarded::origin(peer, &settings.trusted_proxies, settings.proxy_headers, request.headers());
        let path = RequestPath::new(request.uri().path(), &settings.base_path, origin.prefix.as_ref());
        let door = request.app_data::<Door>().copied().unwrap_or(Door::Api { admin: false });
        Exchange {
            resolved: routes::resolve(door, request.method(), path.routed.as_deref()),
            accept: Accept::new(joined(request.headers(), &header::ACCEPT).as_deref()),
            facts: Arc::new(facts(request.headers())),
            edge,
            request,
            started,
            origin,
            path,
            version: None,
            is_read: false,
            is_logged: false,
        }
    }

    pub(super) fn is_of(&self, dialect: Dialect) -> bool {
        self.resolved.dialect == dialect
    }

    /// Returns the id of the request.
    pub(super) fn request_id(&self) -> &str {
        &self.facts.request_id
    }

    /// Stores the ids of the client for the log.
    pub(super) fn set_client(&self, identity: &Identity) {
        self.facts.set_client(&identity.user, identity.project.as_deref());
    }

    pub(super) fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.request.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the length of the body that the head of the request announces.
    pub(super) fn announced(&self) -> Announced {
        match self.content_length() {
            0 if self.request.headers().contains_key(header::TRANSFER_ENCODING) => Announced::Unknown,
            0 => Announced::Nothing,
            length => Announced::Length(length),
        }
    }

    /// Returns the value of `Content-Length`, or 0 if the header is absent. A chunked body has no
    /// `Content-Length`.
    pub(super) fn content_length(&self) -> u64 {
        self.header(header::CONTENT_LENGTH).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub(super) fn content_type(&self) -> Option<&str> {
        self.header(header::CONTENT_TYPE).filter(|text| !text.is_empty())
    }

    /// Returns the content type without its parameters: `text/html` for `text/html; charset=UTF-8`.
    pub(super) fn media_type(&self) -> Option<&str> {
        self.content_type().and_then(|text| text.split(';').next()).map(str::trim)
    }

    /// Returns the host that the request names, or None if the request names no host. A `Host` header that is no
    /// host name is a 400.
    pub(super) fn asked_host(&self) -> Result<Option<&str>, ApiError> {
        address::asked_host(self.request.uri(), self.request.headers())
    }

    /// Counts the request in the metrics, and writes its access log line.
    pub(super) fn log(&mut self, status: StatusCode, length: usize) {
        self.is_logged = true;
        let (took, route) = (self.started.elapsed(), self.resolved.route());
        let method = self.request.method();
        metrics::http::count(route.and_then(Route::metrics), method, status.as_u16(), took);
        let uri = self.request.uri();
        // Monitoring polls health and metrics every few seconds, and would fill the log. So these requests are
        // logged at level debug.
        let level = if self.is_of(Dialect::Admin) { Level::Debug } else { Level::Info };
        let entry = access_log::Entry {
            client: self.origin.client,
            method,
            target: uri.path_and_query().map_or("/", |target| target.as_str()),
            status,
            length: if method == Method::HEAD { 0 } else { length },
            version: self.version,
            facts: &self.facts,
            took,
        };
        access_log::write(level, &entry);
    }
}

impl Drop for Exchange {
    /// Logs a request that is dropped before its response. The server drops a request when its client closes the
    /// connection.
    fn drop(&mut self) {
        if !self.is_logged
            && let Ok(status) = StatusCode::from_u16(access_log::CLIENT_CLOSED_REQUEST)
        {
            self.log(status, 0);
        }
    }
}

/// Returns the facts about a new request.
fn facts(headers: &HeaderMap) -> Facts {
    let caller_id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_request_id(id));
    let all = |name| headers.get_all(HeaderName::from_static(name)).map(HeaderValue::as_bytes);
    let trace = Trace::read(all(trace::PARENT), all(trace::STATE));
    Facts::new(format!("req-{}", uuid::Uuid::new_v4()), caller_id.map(str::to_owned), trace)
}

/// Returns the values of a repeated header as one text, joined by commas. Returns None if the header is absent.
pub(super) fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> =
        headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Returns true for a request id such as `req-5a6b0b4e-9a5c-4c3a-8a38-6ab5d3f0f2b1`. The access log shows an id
/// from a client only if the id has this form.
fn is_request_id(text: &str) -> bool {
    text.strip_prefix("req-").is_some_and(|id| {
        id.len() == 36
            && uuid::Uuid::try_parse(id).is_ok()
            && id.bytes().all(|byte| !byte.is_ascii_uppercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_request_ids_pass_for_one() {
        assert!(is_request_id("req-5a6b0b4e-9a5c-4c3a-8a38-6ab5d3f0f2b1"));
        for other in [
            "5a6b0b4e-9a5c-4c3a-8a38-6ab5d3f0f2b1",
            "req-5A6B0B4E-9a5c-4c3a-8a38-6ab5d3f0f2b1",
            "req-{5a6b0b4e-9a5c-4c3a-8a38-6ab5d3f0f2}",
            "req-x",
            "",
        ] {
            assert!(!is_request_id(other), "{other}");
        }
    }
}

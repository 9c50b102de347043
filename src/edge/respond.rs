//! The response to a request. The response is made of the handler's reply or of the error, and gets the headers
//! that all responses have.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};

use super::body::Pieces;
use super::checks::{API_VERSION, Refusal};
use super::exchange::{Exchange, REQUEST_ID};
use super::{address, cors};
use crate::api::reply::{self, Body, Reply};
use crate::api::routes::Dialect;
use crate::api::{Door, cnapi};
use crate::metrics;
use crate::shared_text::SharedText;
use crate::wire::error::ApiError;
use crate::wire::error_body;
use crate::wire::headers::set;
use crate::wire::microversion::SERVICE;

/// The value of `Retry-After` in a 503, in seconds.
const RETRY_AFTER: &str = "1";

impl Exchange {
    /// Returns the response, and the length of its body in bytes.
    pub(super) fn respond(&self, result: Result<Reply, Refusal>) -> (HttpResponse, usize) {
        let (mut response, mut length) = match result {
            Ok(Reply { body: Body::Broken(cause), .. }) => self.respond_error(&ApiError::internal(cause)),
            Ok(reply) => self.respond_reply(reply),
            Err(Refusal::Error(error)) => self.respond_error(&error),
            Err(Refusal::Unauthorized) => self.respond_unauthorized(),
        };
        if matches!(self.resolved.door, Door::Api { .. }) && !self.is_of(Dialect::Admin) {
            self.tell_pages(&mut response, &mut length);
        }
        set(response.headers_mut(), REQUEST_ID, self.request_id());
        if self.edge.app.admin.is_stopping() {
            // The client's next request needs a new connection, which a proxy opens to another replica.
            set(response.headers_mut(), header::CONNECTION, "close");
        }
        if self.is_of(Dialect::Cnapi) {
            let asked = self.request.headers();
            cnapi::decorate(response.headers_mut(), asked, self.request_id(), self.started);
        }
        (response, length)
    }

    /// Adds the CORS headers, which tell a browser whether a web page may read the response.
    fn tell_pages(&self, response: &mut HttpResponse, length: &mut usize) {
        let cors = &self.edge.settings.cors;
        if cors::is_preflight(cors, &self.request) {
            // Until here, the response to a preflight (a browser's OPTIONS request) is an error, because no route has
            // this method. A browser accepts only a 2xx. So a 200 replaces the error.
            (*response, *length) = (HttpResponse::new(StatusCode::OK), 0);
        }
        cors::decorate(cors, &self.request, response.headers_mut());
    }

    /// Returns a 401. If Keystone (OpenStack's identity service) validates tokens, the 401 has the form of
    /// Keystone's middleware, and `WWW-Authenticate` names Keystone's URL.
    fn respond_unauthorized(&self) -> (HttpResponse, usize) {
        let status = StatusCode::UNAUTHORIZED;
        if self.is_of(Dialect::Cnapi) {
            return with_body(status, cnapi::render(&ApiError::new(status, "")));
        }
        let Some(challenge) = self.edge.auth.challenge() else {
            return with_body(status, error_body::unauthorized(self.accept.error_format()));
        };
        let (mut response, length) =
            with_body(status, ("application/json; charset=UTF-8", error_body::no_valid_token()));
        set(response.headers_mut(), header::WWW_AUTHENTICATE, challenge);
        (response, length)
    }

    fn respond_reply(&self, reply: Reply) -> (HttpResponse, usize) {
        let (mut response, length) = match reply.body {
            Body::Json(bytes) => with_body(reply.status, ("application/json", bytes)),
            Body::Html(text) => with_body(reply.status, ("text/html; charset=UTF-8", text)),
            Body::Text(content_type, text) => with_body(reply.status, (content_type, text)),
            Body::None | Body::Broken(_) => (HttpResponse::new(reply.status), 0),
        };
        let headers = response.headers_mut();
        self.set_version(headers, true);
        if let Some(path) = reply.location {
            set(headers, header::LOCATION, &format!("{}{path}", self.base_url()));
        }
        if let Some(time) = reply.last_modified {
            set(headers, header::LAST_MODIFIED, &reply::http_date(time));
        }
        if let Some(how) = reply.cache_control {
            set(headers, header::CACHE_CONTROL, how);
        }
        (response, length)
    }

    fn respond_error(&self, error: &ApiError) -> (HttpResponse, usize) {
        self.log_error(error);
        if error.status == StatusCode::CONFLICT {
            metrics::conflicts::count(error.entity());
        }
        let rendered = match self.resolved.dialect {
            Dialect::Placement | Dialect::Admin => {
                error_body::render(error, self.accept.error_format(), self.version, self.request_id())
            }
            Dialect::Cnapi => cnapi::render(error),
        };
        let (mut response, length) = with_body(error.status, rendered);
        let headers = response.headers_mut();
        if error.status != StatusCode::INTERNAL_SERVER_ERROR {
            let varies = !error.before_handler && error.status != StatusCode::FORBIDDEN;
            self.set_version(headers, varies);
        }
        if let Some(allow) = &error.allow {
            set(headers, header::ALLOW, allow);
        }
        if error.status == StatusCode::SERVICE_UNAVAILABLE {
            set(headers, header::RETRY_AFTER, RETRY_AFTER);
        }
        (response, length)
    }

    /// Logs the parts of an error that the response does not contain: the cause, and the setting whose limit the
    /// request exceeded.
    fn log_error(&self, error: &ApiError) {
        if let Some(cause) = &error.cause {
            let (method, path) = (self.request.method(), self.request.uri().path());
            log::error!("{method} {path} failed ({}): {cause}", self.request_id());
        }
        if let Some(setting) = error.limit {
            log::info!(target: "allotment::limits", "{}: refused by {setting}", self.request_id());
        }
    }

    /// Adds the header with the request's microversion, and the header `Vary` if `varies` is true. Adds nothing if
    /// the version is not known.
    fn set_version(&self, headers: &mut HeaderMap, varies: bool) {
        if let Some(version) = self.version {
            set(headers, API_VERSION, &format!("{SERVICE} {version}"));
            if varies {
                set(headers, header::VARY, API_VERSION.as_str());
            }
        }
    }

    /// Returns the URL under which the client reached the service, such as `https://cloud.example.com/placement`.
    fn base_url(&self) -> String {
        let settings = &self.edge.settings;
        let is_https = self.origin.https.unwrap_or(settings.is_https);
        // The error of `asked_host` is ignored, because a request with an invalid `Host` header was refused before.
        let host = self.origin.host.as_deref().or_else(|| self.asked_host().ok().flatten());
        format!("{}{}", address::root_url(is_https, host, settings.listen), self.path.prefix)
    }
}

fn with_body(status: StatusCode, rendered: (&str, impl Into<SharedText>)) -> (HttpResponse, usize) {
    let (content_type, body) = (rendered.0, rendered.1.into());
    let length = body.len();
    let mut response = HttpResponse::with_body(status, Pieces(body)).map_into_boxed_body();
    set(response.headers_mut(), header::CONTENT_TYPE, content_type);
    (response, length)
}

//! The checks of every request, in Placement's order.
//!
//! 1. an id; a `Host` that is none: 400
//! 2. who asks: 401, or 503 if nobody can tell, but for paths that are open to all
//! 3. the microversion: 406, 400
//! 4. sizes that the head tells (431, 413, 414, 400), and a body that has no content type: 400
//! 5. the route: 404, 405
//! 6. version range (404), content type (415), `Accept` (406)
//! 7. policy: 403
//! 8. the body is read, for which a client may have waited: 413, 408, 400, or 503 if there are too many
//! 9. the handler
//!
//! The dialects of CNAPI have no versions and say no content type needlessly; their errors have another
//! form. At an address of their own, nobody need say who asks.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::FutureExt;
use log::Level;

use crate::api::fence::TICKET_HEADER;
use crate::api::reply;
use crate::api::reply::{Body, Reply};
use crate::api::routes;
use crate::api::routes::{BodyKind, Dialect, Found, Params, Resolved, Route, TooOld};
use crate::api::{Answer, Call, Door, HandlerResult, cnapi, permission};
use crate::auth;
use crate::auth::policy;
use crate::auth::policy::Target;
use crate::auth::{Identity, Presented};
use crate::edge::body::Pieces;
use crate::edge::forwarded;
use crate::edge::forwarded::Origin;
use crate::edge::path::Place;
use crate::edge::request_body;
use crate::edge::request_body::{Announced, Held};
use crate::edge::Edge;
use crate::edge::{access_log, address, cors, origin};
use crate::metrics;
use crate::shared_text::SharedText;
use crate::wire::accept::Accept;
use crate::wire::error::ApiError;
use crate::wire::error_body;
use crate::wire::microversion::{MIN, Microversion, SERVICE, VersionError};
use crate::wire::headers::set;
use crate::wire::query::Query;

const API_VERSION: HeaderName = HeaderName::from_static("openstack-api-version");
/// After how many seconds it is worth to ask again where the answer is 503.
const RETRY_AFTER: &str = "1";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// How a request ends that is not answered by a handler.
enum Refusal {
    /// Nobody is known to ask; the answer has a shape of its own.
    Unauthorized,
    Error(Box<ApiError>),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Error(Box::new(error))
    }
}

/// A request and what has been found out about it.
struct Exchange {
    request: HttpRequest,
    edge: web::Data<Edge>,
    request_id: String,
    accept: Accept,
    version: Option<Microversion>,
    origin: Origin,
    started: Instant,
    /// The path that is routed, or `None` if no route can have it.
    path: Option<String>,
    /// The path below which the client found the service.
    prefix: String,
    /// The address that the request came to.
    door: Door,
    /// The place of the request in the table of routes.
    resolved: Resolved,
    /// Whether the request's body was read to the end.
    is_read: bool,
    /// User and project of the client, once they are known.
    who: Option<(String, Option<String>)>,
    is_logged: bool,
}

/// Answers any request.
pub(crate) async fn serve(
    request: HttpRequest,
    mut payload: web::Payload,
    edge: web::Data<Edge>,
) -> HttpResponse {
    let started = Instant::now();
    let accept = Accept::new(joined(request.headers(), &header::ACCEPT).as_deref());
    let request_id = format!("req-{}", uuid::Uuid::new_v4());
    let peer = request.peer_addr().map(|address| address.ip());
    let settings = &edge.settings;
    let origin =
        forwarded::origin(peer, &settings.trusted_proxies, settings.proxy_headers, request.headers());
    let Place { path, prefix } =
        Place::new(request.uri().path(), &settings.base_path, origin.prefix.as_ref());
    let door = request.app_data::<Door>().copied().unwrap_or(Door::Api { admin: false });
    let resolved = routes::resolve(door, request.method(), path.as_deref());
    let mut exchange = Exchange {
        request,
        edge,
        request_id,
        accept,
        version: None,
        origin,
        started,
        path,
        prefix,
        door,
        resolved,
        is_read: false,
        who: None,
        is_logged: false,
    };
    let result = exchange.process(&mut payload).await;
    let is_over = exchange.is_read || exchange.is_over(&mut payload).await;
    let (mut response, length) = exchange.respond(result);
    if !is_over {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    exchange.log(response.status(), length);
    response
}

impl Exchange {
    fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.request.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// How long the body will be.
    fn announced(&self) -> Announced {
        match self.content_length() {
            0 if self.request.headers().contains_key(header::TRANSFER_ENCODING) => Announced::Unknown,
            0 => Announced::Nothing,
            length => Announced::Length(length),
        }
    }

    /// Whether nothing more of a refused request's body will come. A client that waits for `100 Continue`
    /// is not asked for any of it.
    async fn is_over(&self, payload: &mut web::Payload) -> bool {
        let announced = self.announced();
        if announced != Announced::Nothing && self.request.headers().contains_key(header::EXPECT) {
            return false;
        }
        request_body::is_over(announced, payload).await
    }

    fn header_bytes(&self) -> usize {
        self.request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
    }

    /// The length that the header gives; a chunked body has no such header.
    fn content_length(&self) -> u64 {
        self.header(header::CONTENT_LENGTH).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn content_type(&self) -> Option<&str> {
        self.header(header::CONTENT_TYPE).filter(|text| !text.is_empty())
    }

    /// The content type without its parameters.
    fn media_type(&self) -> Option<&str> {
        self.content_type().and_then(|text| text.split(';').next()).map(str::trim)
    }

    async fn process(&mut self, payload: &mut web::Payload) -> Result<Reply, Refusal> {
        self.asked_host()?;
        self.check_origin()?;
        let identity = self.identify().await?;
        self.who = Some((identity.user.clone(), identity.project.clone()));
        let version = match self.resolved.dialect {
            Dialect::Placement => self.read_version()?,
            Dialect::Cnapi | Dialect::Admin => MIN,
        };
        self.version = (self.resolved.dialect == Dialect::Placement).then_some(version);
        self.check_size().map_err(ApiError::before_handler)?;
        let (route, params) = self.find_route()?;
        self.check_types(route, version)?;
        let query = match self.resolved.dialect {
            Dialect::Placement | Dialect::Admin => Query::parse(self.request.query_string()),
            Dialect::Cnapi => Query::parse_form(self.request.query_string()),
        };
        self.check_policy(route, &identity, query.as_ref().ok())?;
        let body = self.edge.bodies.read(&self.edge.settings.limits, self.announced(), payload).await?;
        self.is_read = true;
        // No handler of such a route reads the body, and a wait for a turn would keep its memory for long.
        let body = if route.body == BodyKind::Ignored { Held::default() } else { body };
        let call = Call {
            app: self.edge.app.clone(),
            version,
            identity,
            request_id: self.request_id.clone(),
            prefix: self.prefix.clone(),
            params,
            query,
            body: body.bytes.clone(),
            is_form: self.media_type().is_some_and(|kind| kind.eq_ignore_ascii_case(FORM)),
            fence: joined(self.request.headers(), &HeaderName::from_static(TICKET_HEADER)),
        };
        Ok(unless_it_panics((route.handler)(call)).await?)
    }

    /// Where no token is needed, a page of any site could have the browsers of its visitors write. A browser
    /// says which site the page is of.
    fn check_origin(&self) -> Result<(), ApiError> {
        let method = self.request.method();
        if self.door != Door::Cnapi || method.is_safe() {
            return Ok(());
        }
        let is_foreign = origin::is_foreign(self.request.headers());
        if is_foreign {
            Err(ApiError::forbidden("This address takes no requests of web pages."))
        } else {
            Ok(())
        }
    }

    async fn identify(&self) -> Result<Identity, Refusal> {
        match self.door {
            Door::Cnapi => return Ok(cnapi::anybody()),
            Door::Admin => return Ok(Identity::default()),
            // A route that shows no data is open to all, and its token is not looked at.
            Door::Api { .. } if self.resolved.is_open => return Ok(Identity::default()),
            Door::Api { .. } => {}
        }
        if let Some(why) = odd(self.request.headers(), self.edge.auth.headers()) {
            permission::log_unknown(&self.request_id, why);
            return Err(Refusal::Unauthorized);
        }
        let presented = Presented {
            // To make a `HeaderName` of a text takes longer than to look through the few there are.
            header: |name: &str| {
                let found = self.request.headers().iter().find(|(known, _)| known.as_str() == name);
                found.and_then(|(_, value)| value.to_str().ok())
            },
            method: self.request.method().as_str(),
            path: self.path.as_deref().unwrap_or_default(),
            base_path: self.edge.settings.base_path.as_str(),
        };
        self.edge.auth.authenticate(presented).await.map_err(|error| match error {
            auth::Error::Unknown(why) => {
                permission::log_unknown(&self.request_id, why);
                Refusal::Unauthorized
            }
            auth::Error::Unavailable(_) => ApiError::keystone_unavailable().before_handler().into(),
        })
    }

    fn read_version(&self) -> Result<Microversion, ApiError> {
        let header = joined(self.request.headers(), &API_VERSION);
        Microversion::from_header(header.as_deref()).map_err(|error| match error {
            VersionError::Unacceptable(_) => ApiError::not_acceptable(&self.accept, error.to_string()),
            VersionError::Malformed { .. } => ApiError::bad_request(error.to_string()),
        })
    }

    fn check_size(&self) -> Result<(), ApiError> {
        let limits = &self.edge.settings.limits;
        let query = self.request.query_string();
        if query.len() > limits.query_bytes {
            return Err(ApiError::query_too_long(limits.query_bytes));
        }
        if Query::count(query) > limits.query_parameters {
            return Err(ApiError::too_many_parameters(limits.query_parameters));
        }
        if self.header_bytes() > limits.header_bytes {
            return Err(ApiError::headers_too_large(limits.header_bytes));
        }
        if self.content_length() > limits.body_bytes as u64 {
            return Err(ApiError::body_too_large(limits.body_bytes));
        }
        let is_typed = self.content_type().is_some() || self.resolved.dialect != Dialect::Placement;
        if self.content_length() > 0 && !is_typed {
            let message = "content-type header required when content-length > 0";
            return Err(ApiError::bad_request(message));
        }
        Ok(())
    }

    fn find_route(&mut self) -> Result<(&'static Route, Params), ApiError> {
        let method = self.request.method();
        match &mut self.resolved.found {
            Found::Route(route, params) => Ok((*route, std::mem::take(params))),
            Found::OtherMethods(allow) => Err(ApiError::method_not_allowed(method, Some(allow.clone()))),
            Found::Nothing => Err(ApiError::not_found("").before_handler()),
        }
    }

    fn check_types(&self, route: &Route, version: Microversion) -> Result<(), ApiError> {
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
        let is_json = || self.media_type() == Some(JSON);
        let fits = match route.body {
            BodyKind::Json => is_json(),
            BodyKind::JsonBefore(until) => version >= until || is_json(),
            BodyKind::JsonOrForm => {
                let is_either =
                    |kind: &str| [JSON, FORM].iter().any(|known| known.eq_ignore_ascii_case(kind));
                self.announced() == Announced::Nothing || self.media_type().is_none_or(is_either)
            }
            BodyKind::Ignored => true,
        };
        if !fits {
            return Err(ApiError::unsupported_media_type(self.content_type()));
        }
        if route.accept_checked && !self.accept.takes_json() {
            let message = "Only application/json is provided";
            return Err(ApiError::not_acceptable(&self.accept, message));
        }
        Ok(())
    }

    fn check_policy(
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
        permission::check(&self.edge.app, rule, identity, &target, &self.request_id)
    }

    /// The response and how long its body is.
    fn respond(&self, result: Result<Reply, Refusal>) -> (HttpResponse, usize) {
        let (mut response, mut length) = match result {
            Ok(Reply { body: Body::Broken(cause), .. }) => self.respond_error(&ApiError::internal(cause)),
            Ok(reply) => self.respond_reply(reply),
            Err(Refusal::Error(error)) => self.respond_error(&error),
            Err(Refusal::Unauthorized) => self.respond_unauthorized(),
        };
        if matches!(self.door, Door::Api { .. }) && self.resolved.dialect != Dialect::Admin {
            self.tell_pages(&mut response, &mut length);
        }
        set(response.headers_mut(), REQUEST_ID, &self.request_id);
        if self.resolved.dialect == Dialect::Cnapi {
            let asked = self.request.headers();
            cnapi::decorate(response.headers_mut(), asked, &self.request_id, self.started);
        }
        (response, length)
    }

    /// Tells browsers whose pages may call.
    fn tell_pages(&self, response: &mut HttpResponse, length: &mut usize) {
        let cors = &self.edge.settings.cors;
        if cors::is_preflight(cors, &self.request) {
            // No route takes OPTIONS, and the page gets no error for that.
            (*response, *length) = (HttpResponse::new(StatusCode::OK), 0);
        }
        cors::decorate(cors, &self.request, response.headers_mut());
    }

    /// Tells where there are tokens, if that is known, and then as all services of OpenStack do.
    fn respond_unauthorized(&self) -> (HttpResponse, usize) {
        if self.resolved.dialect == Dialect::Cnapi {
            return with_body(
                StatusCode::UNAUTHORIZED,
                cnapi::render(&ApiError::new(StatusCode::UNAUTHORIZED, "")),
            );
        }
        let Some(challenge) = self.edge.auth.challenge() else {
            return with_body(StatusCode::UNAUTHORIZED, error_body::unauthorized(self.accept.error_format()));
        };
        let (mut response, length) = with_body(
            StatusCode::UNAUTHORIZED,
            ("application/json; charset=UTF-8", error_body::no_valid_token()),
        );
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
        if let Some(cause) = &error.cause {
            log::error!(
                "{} {} failed ({}): {cause}",
                self.request.method(),
                self.request.uri().path(),
                self.request_id
            );
        }
        if let Some(setting) = error.limit {
            log::info!(target: "allotment::limits", "{}: refused by {setting}", self.request_id);
        }
        if error.status == StatusCode::CONFLICT {
            metrics::conflicts::count(error.entity());
        }
        let rendered = match self.resolved.dialect {
            Dialect::Placement | Dialect::Admin => {
                error_body::render(error, self.accept.error_format(), self.version, &self.request_id)
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

    /// Tells the version that was obeyed, once it is known.
    fn set_version(&self, headers: &mut HeaderMap, varies: bool) {
        if let Some(version) = self.version {
            set(headers, API_VERSION, &format!("{SERVICE} {version}"));
            if varies {
                set(headers, header::VARY, API_VERSION.as_str());
            }
        }
    }

    /// The host that the request names, if it names one; 400 if that is no host.
    fn asked_host(&self) -> Result<Option<&str>, ApiError> {
        address::asked_host(self.request.uri(), self.request.headers())
    }

    /// The URL of `/`, as the client knows the service.
    fn base_url(&self) -> String {
        let settings = &self.edge.settings;
        let is_https = self.origin.https.unwrap_or_else(|| settings.is_https);
        // A request with a `Host` that is no host was refused before there was anything to locate.
        let host = self.origin.host.as_deref().or_else(|| self.asked_host().ok().flatten());
        format!("{}{}", address::root_url(is_https, host, settings.listen), self.prefix)
    }

    fn log(&mut self, status: StatusCode, length: usize) {
        self.is_logged = true;
        let (took, route) = (self.started.elapsed(), self.resolved.route());
        let method = self.request.method();
        metrics::http::count(route.and_then(Route::metrics), method, status.as_u16(), took);
        let uri = self.request.uri();
        // Machinery asks every few seconds, and its lines would hide the others.
        let level = if self.resolved.dialect == Dialect::Admin { Level::Debug } else { Level::Info };
        let entry = access_log::Entry {
            client: self.origin.client,
            method,
            target: uri.path_and_query().map_or("/", |target| target.as_str()),
            status,
            length: if method == Method::HEAD { 0 } else { length },
            version: self.version,
            request_id: &self.request_id,
            user: self.who.as_ref().map(|who| who.0.as_str()),
            project: self.who.as_ref().and_then(|who| who.1.as_deref()),
            caller_id: self.header(REQUEST_ID).filter(|id| is_request_id(id)),
            took,
        };
        access_log::write(level, &entry);
    }
}

impl Drop for Exchange {
    /// A request is let go of without an answer when its client hangs up.
    fn drop(&mut self) {
        if !self.is_logged
            && let Ok(status) = StatusCode::from_u16(access_log::CLIENT_CLOSED_REQUEST)
        {
            self.log(status, 0);
        }
    }
}

/// Runs a handler. Its panic is a 500 and not the end of the connection.
async fn unless_it_panics(answer: Answer) -> HandlerResult {
    AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &dyn Any) -> ApiError {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ApiError::internal(format!("a handler panicked: {}", words.unwrap_or("no message")))
}

fn with_body(status: StatusCode, rendered: (&str, impl Into<SharedText>)) -> (HttpResponse, usize) {
    let (content_type, body) = (rendered.0, rendered.1.into());
    let length = body.len();
    let mut response = HttpResponse::with_body(status, Pieces(body)).map_into_boxed_body();
    set(response.headers_mut(), header::CONTENT_TYPE, content_type);
    (response, length)
}

/// The values of a header that may be repeated, as one.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> =
        headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// The fault of the headers in which a client says who it is, if there is one. A header that is not ASCII is
/// there, and does not count as missing. If a header is there twice, nobody knows which one is meant.
fn odd(headers: &HeaderMap, believed: &[&str]) -> Option<&'static str> {
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

/// Whether a caller's id is one, so that nothing else gets into the log.
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

    #[actix_web::test]
    async fn a_panic_is_a_500() {
        let Err(error) = unless_it_panics(Box::pin(async { panic!("no") })).await else {
            panic!("it was not caught");
        };
        assert_eq!(error.status, 500);
        assert!(error.cause.is_some_and(|cause| cause.ends_with("a handler panicked: no")));
    }

    #[test]
    fn headers_that_say_who_asks_are_plain_and_there_once() {
        let is_odd = |given: &[(&'static str, &[u8])]| {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
            }
            odd(&headers, &["x-auth-token", "x-service-token"]).is_some()
        };
        assert!(!is_odd(&[]));
        assert!(!is_odd(&[("x-auth-token", b"a"), ("x-service-token", b""), ("x-other", b"\xe9")]));
        assert!(!is_odd(&[("x-other", b"a"), ("x-other", b"a")]));
        assert!(is_odd(&[("x-auth-token", b"a"), ("x-service-token", b"\xe9")]));
        assert!(is_odd(&[("x-auth-token", b"a\xff")]));
        assert!(is_odd(&[("x-auth-token", b"a"), ("x-auth-token", b"a")]));
    }

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

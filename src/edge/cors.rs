//! Cross-origin requests (CORS): the headers that tell a browser which web pages may use the service. The headers
//! are those of oslo.middleware, the library that OpenStack Placement uses.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::setting::{Unusable, refuse};
use crate::wire::headers::set;

/// The `[cors]` table of the settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct CorsSettings {
    /// The origins whose web pages may send requests, such as `https://horizon.example.com`. `*` stands for all
    /// origins.
    pub allowed_origins: Vec<String>,
    /// Whether a cross-origin request may carry cookies and other credentials of the browser.
    pub allow_credentials: bool,
    /// The headers of responses that a web page may read, besides the headers that CORS always exposes.
    pub expose_headers: Vec<String>,
    /// The time for which a browser may cache the answer to a preflight (the question whether a web page may send a
    /// request), in seconds. With 0, the answer has no `Access-Control-Max-Age`.
    pub max_age: u32,
    /// The methods that a cross-origin request may have.
    pub allow_methods: Vec<String>,
    /// The headers that a cross-origin request may carry, besides headers such as `Accept`, which are always allowed.
    pub allow_headers: Vec<String>,
}

/// The default methods of cross-origin requests. Placement has the same default.
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "PATCH"];

/// The default headers that cross-origin requests may carry: Placement's default, and `X-Waitlist-Ticket`.
const ALLOWED: [&str; 9] = [
    "X-Auth-Token",
    "X-Openstack-Request-Id",
    "X-Identity-Status",
    "X-Roles",
    "X-Service-Catalog",
    "X-User-Id",
    "X-Tenant-Id",
    "OpenStack-API-Version",
    "X-Waitlist-Ticket",
];

/// The default headers that web pages may read. Placement has the same default.
const EXPOSED: [&str; 5] =
    ["X-Auth-Token", "X-Openstack-Request-Id", "X-Subject-Token", "X-Service-Token", "OpenStack-API-Version"];

impl Default for CorsSettings {
    fn default() -> Self {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        CorsSettings {
            allowed_origins: Vec::new(),
            allow_credentials: true,
            expose_headers: texts(&EXPOSED),
            max_age: 3600,
            allow_methods: texts(&METHODS),
            allow_headers: texts(&ALLOWED),
        }
    }
}

impl CorsSettings {
    /// Refuses an allowed origin that is neither `*` nor a URL without a slash at the end.
    pub fn check(&self) -> Result<(), Unusable> {
        let is_origin = |text: &&String| *text == "*" || (text.contains("://") && !text.ends_with('/'));
        if let Some(odd) = self.allowed_origins.iter().find(|text| !is_origin(text)) {
            let problem = format!("{odd:?} is neither * nor like https://horizon.example.com");
            return refuse("cors.allowed_origins", problem);
        }
        Ok(())
    }
}

/// The headers that a cross-origin request may always carry.
const SIMPLE_HEADERS: [&str; 8] = [
    "Accept",
    "Accept-Language",
    "Content-Type",
    "Cache-Control",
    "Content-Language",
    "Expires",
    "Last-Modified",
    "Pragma",
];

/// Returns true for a preflight: the OPTIONS request by which a browser asks whether a web page may send a request.
/// Returns false for every request if the settings allow no origin.
pub(crate) fn is_preflight(settings: &CorsSettings, request: &HttpRequest) -> bool {
    !settings.allowed_origins.is_empty() && request.method() == Method::OPTIONS
}

/// Adds the CORS headers to a response. Adds nothing if the settings do not allow the origin, method or headers of
/// the request.
pub(crate) fn decorate(settings: &CorsSettings, request: &HttpRequest, headers: &mut HeaderMap) {
    let Some(origin) = allowed_origin(settings, request.headers()) else {
        return;
    };
    if request.method() == Method::OPTIONS {
        let Some((method, asked)) = allowed_request(settings, request.headers()) else {
            return;
        };
        set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, method);
        if !asked.is_empty() {
            set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, &asked.join(","));
        }
        if settings.max_age > 0 {
            set(headers, header::ACCESS_CONTROL_MAX_AGE, &settings.max_age.to_string());
        }
    } else if !settings.expose_headers.is_empty() {
        set(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, &settings.expose_headers.join(","));
    }
    let vary = match headers.get(header::VARY).and_then(|value| value.to_str().ok()) {
        Some(vary) => format!("{vary},Origin"),
        None => "Origin".to_owned(),
    };
    set(headers, header::VARY, &vary);
    set(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if settings.allow_credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// Returns the value of `Access-Control-Allow-Origin`: the request's origin, or `*` if the settings allow all
/// origins. Returns None if the settings do not allow the request's origin.
fn allowed_origin<'a>(settings: &'a CorsSettings, headers: &HeaderMap) -> Option<&'a str> {
    let origin = text(headers, &header::ORIGIN)?;
    let named = |wanted: &str| settings.allowed_origins.iter().find(|allowed| *allowed == wanted);
    named(origin).or_else(|| named("*")).map(String::as_str)
}

/// Returns the method and the headers that a preflight asks for. Returns None if the settings do not allow the
/// method or one of the headers.
fn allowed_request<'a>(settings: &CorsSettings, headers: &'a HeaderMap) -> Option<(&'a str, Vec<&'a str>)> {
    let method = text(headers, &header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let asked: Vec<&str> = text(headers, &header::ACCESS_CONTROL_REQUEST_HEADERS)
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let own = settings.allow_headers.iter().map(String::as_str);
    let allowed: Vec<&str> = own.chain(SIMPLE_HEADERS).collect();
    let is_allowed = |name: &&str| allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
    (settings.allow_methods.iter().any(|allowed| allowed == method) && asked.iter().all(is_allowed))
        .then_some((method, asked))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn settings() -> CorsSettings {
        CorsSettings {
            allowed_origins: vec!["https://a.example".to_owned()],
            allow_headers: vec!["X-Auth-Token".to_owned()],
            expose_headers: vec!["X-Openstack-Request-Id".to_owned(), "Location".to_owned()],
            ..CorsSettings::default()
        }
    }

    /// Returns the headers of a response, as lines in alphabetical order.
    fn answer(settings: &CorsSettings, method: Method, request: &[(&str, &str)]) -> Vec<String> {
        let request = request
            .iter()
            .fold(TestRequest::default().method(method), |built, header| built.insert_header(*header));
        let mut headers = HeaderMap::new();
        set(&mut headers, header::VARY, "openstack-api-version");
        decorate(settings, &request.to_http_request(), &mut headers);
        let mut lines: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    const UNCHANGED: [&str; 1] = ["vary: openstack-api-version"];

    #[test]
    fn a_page_of_an_allowed_origin_may_read_the_answer() {
        let found = answer(&settings(), Method::GET, &[("Origin", "https://a.example")]);
        assert_eq!(
            found,
            [
                "access-control-allow-credentials: true",
                "access-control-allow-origin: https://a.example",
                "access-control-expose-headers: X-Openstack-Request-Id,Location",
                "vary: openstack-api-version,Origin",
            ]
        );
    }

    #[test]
    fn others_are_told_nothing() {
        for origin in ["https://b.example", "https://a.example/", "http://a.example", "*", "null"] {
            assert_eq!(answer(&settings(), Method::GET, &[("Origin", origin)]), UNCHANGED);
        }
        assert_eq!(answer(&settings(), Method::GET, &[]), UNCHANGED);
    }

    #[test]
    fn leave_is_given_for_methods_and_headers_that_are_allowed() {
        let ask = |method: &'static str, headers: &'static str| {
            let request = [
                ("Origin", "https://a.example"),
                ("Access-Control-Request-Method", method),
                ("Access-Control-Request-Headers", headers),
            ];
            answer(&settings(), Method::OPTIONS, &request)
        };
        assert_eq!(
            ask("PUT", "x-auth-token, , ACCEPT"),
            [
                "access-control-allow-credentials: true",
                "access-control-allow-headers: x-auth-token,ACCEPT",
                "access-control-allow-methods: PUT",
                "access-control-allow-origin: https://a.example",
                "access-control-max-age: 3600",
                "vary: openstack-api-version,Origin",
            ]
        );
        assert_eq!(ask("PUT", "x-roles"), UNCHANGED);
        assert_eq!(ask("put", ""), UNCHANGED);
        let without_method = [("Origin", "https://a.example")];
        assert_eq!(answer(&settings(), Method::OPTIONS, &without_method), UNCHANGED);
    }

    #[test]
    fn an_origin_is_all_that_has_to_be_set() {
        let settings =
            CorsSettings { allowed_origins: vec!["https://a.example".to_owned()], ..CorsSettings::default() };
        let ask = |method: &'static str, headers: &'static str| {
            let request = [
                ("Origin", "https://a.example"),
                ("Access-Control-Request-Method", method),
                ("Access-Control-Request-Headers", headers),
            ];
            answer(&settings, Method::OPTIONS, &request) != UNCHANGED
        };
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            assert!(
                ask(method, "x-auth-token,openstack-api-version,content-type,x-openstack-request-id"),
                "{method}"
            );
        }
        assert!(ask(
            "GET",
            "x-identity-status,x-roles,x-service-catalog,x-user-id,x-tenant-id,x-waitlist-ticket"
        ));
        assert!(!ask("TRACE", "") && !ask("HEAD", "") && !ask("GET", "x-other"));
        let found = answer(&settings, Method::GET, &[("Origin", "https://a.example")]);
        let exposed = "access-control-expose-headers: X-Auth-Token,X-Openstack-Request-Id,X-Subject-Token,\
                       X-Service-Token,OpenStack-API-Version";
        assert!(found.contains(&exposed.to_owned()), "{found:?}");
    }

    #[test]
    fn every_origin_can_be_allowed() {
        let settings = CorsSettings {
            allowed_origins: vec!["*".to_owned()],
            allow_credentials: false,
            max_age: 0,
            ..CorsSettings::default()
        };
        let request = [("Origin", "https://any.example"), ("Access-Control-Request-Method", "GET")];
        assert_eq!(
            answer(&settings, Method::OPTIONS, &request),
            [
                "access-control-allow-methods: GET",
                "access-control-allow-origin: *",
                "vary: openstack-api-version,Origin",
            ]
        );
    }
}

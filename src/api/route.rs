//! The type of a route: one method of one path, with its checks, its handler and its documentation.

use std::fmt;

use actix_web::http::Method;

use crate::api::call::Call;
use crate::api::operation::Operation;
use crate::api::reply::Answer;
use crate::wire::microversion::{Microversion, V1_0};
#[cfg(test)]
use crate::wire::schema::{LazySchema, Versions};

/// A function that answers the requests of a route.
pub type Handler = fn(Call) -> Answer;

/// The kind of body that a route reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// The route reads a body with the content type `application/json`.
    Json,
    /// The route reads a JSON body before this version, and ignores the body from this version on.
    JsonBefore(Microversion),
    /// The route reads JSON or an HTML form, and the body may be absent.
    JsonOrForm,
    /// The route ignores the body.
    Ignored,
}

/// The API of a route. The API determines the format of errors, and whether requests have microversions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenStack Placement's API, whose requests select a microversion (a version of the API).
    Placement,
    /// CNAPI, Triton's API for servers. The service implements only its tickets.
    Cnapi,
    /// Health and metrics, without microversions.
    Admin,
}

/// The response to a request with a microversion before the route's first version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooOld {
    /// A 404, as if the path had no route.
    NotFound,
    /// A 405 without the header `Allow`.
    MethodNotAllowed,
}

/// One method of one path.
pub struct Route {
    /// The HTTP method.
    pub method: Method,
    /// The path, with its parameters in braces: `/traits/{name}`.
    pub path: &'static str,
    /// The API of the route.
    pub dialect: Dialect,
    /// The first microversion with the route.
    pub since: Microversion,
    /// The response to earlier microversions.
    pub too_old: TooOld,
    /// The policy rule that a client must fulfil. If None, the route is open to all clients, even without a token.
    pub rule: Option<&'static str>,
    /// The kind of body that the route reads.
    pub body: BodyKind,
    /// True if a request is refused when its `Accept` header excludes JSON.
    pub accept_checked: bool,
    /// True if `Accept` and the content type are checked before the microversion.
    pub type_before_version: bool,
    /// The function that answers the requests.
    pub handler: Handler,
    /// The documentation for the OpenAPI document. None for health and metrics.
    pub operation: Option<Operation>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} since {}", self.method, self.path, self.since)
    }
}

/// Converts an async function into a [`Handler`], which returns a boxed future.
macro_rules! answer {
    ($function:path) => {
        |call| Box::pin($function(call))
    };
}
pub(crate) use answer;

/// Returns a POST route, which reads a JSON body.
pub(crate) const fn post(path: &'static str, rule: &'static str, handler: Handler) -> Route {
    let mut route = route(Method::POST, path, rule, handler);
    route.body = BodyKind::Json;
    route
}

/// Returns a PUT route, which reads a JSON body.
pub(crate) const fn put(path: &'static str, rule: &'static str, handler: Handler) -> Route {
    let mut route = route(Method::PUT, path, rule, handler);
    route.body = BodyKind::Json;
    route
}

/// Returns a DELETE route, which ignores the body.
pub(crate) const fn delete(path: &'static str, rule: &'static str, handler: Handler) -> Route {
    route(Method::DELETE, path, rule, handler)
}

/// Returns a GET route, which answers with JSON. A client whose `Accept` header excludes JSON gets a 406.
pub(crate) const fn get(path: &'static str, rule: &'static str, handler: Handler) -> Route {
    let mut route = route(Method::GET, path, rule, handler);
    route.accept_checked = true;
    route
}

/// Returns a route of CNAPI. All methods except GET read a body.
pub(crate) const fn cnapi(method: Method, path: &'static str, rule: &'static str, handler: Handler) -> Route {
    let body = if matches!(method, Method::GET) { BodyKind::Ignored } else { BodyKind::JsonOrForm };
    let mut route = route(method, path, rule, handler);
    route.dialect = Dialect::Cnapi;
    route.body = body;
    route
}

/// Returns a route for health or metrics. A request needs no token, and the body is ignored.
pub(crate) const fn for_operators(method: Method, path: &'static str, handler: Handler) -> Route {
    let mut route = route(method, path, "", handler).unguarded();
    route.dialect = Dialect::Admin;
    route
}

/// Returns a route of Placement's API that ignores the body.
const fn route(method: Method, path: &'static str, rule: &'static str, handler: Handler) -> Route {
    Route {
        method,
        path,
        dialect: Dialect::Placement,
        since: V1_0,
        too_old: TooOld::NotFound,
        rule: Some(rule),
        body: BodyKind::Ignored,
        accept_checked: false,
        type_before_version: false,
        handler,
        operation: None,
    }
}

impl Route {
    pub(crate) const fn since(mut self, version: Microversion) -> Self {
        self.since = version;
        self
    }

    pub(crate) const fn body_before(mut self, version: Microversion) -> Self {
        self.body = BodyKind::JsonBefore(version);
        self
    }

    pub(crate) const fn any_body(mut self) -> Self {
        self.body = BodyKind::Ignored;
        self
    }

    pub(crate) const fn type_first(mut self) -> Self {
        self.type_before_version = true;
        self
    }

    pub(crate) const fn method_not_allowed_before(mut self) -> Self {
        self.too_old = TooOld::MethodNotAllowed;
        self
    }

    pub(crate) const fn unguarded(mut self) -> Self {
        self.rule = None;
        self
    }

    pub(crate) const fn any_accept(mut self) -> Self {
        self.accept_checked = false;
        self
    }

    /// Returns the route with its documentation.
    pub(crate) const fn described(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Returns the schemas of the query string and the body, of all microversions.
    #[cfg(test)]
    pub(crate) fn schemas(&self) -> impl Iterator<Item = &'static LazySchema> {
        let operations = self.operation.iter();
        let histories = operations.flat_map(|operation| operation.query.iter().chain(operation.body.iter()));
        histories.flat_map(Versions::iter).map(|(_, schema)| schema)
    }
}

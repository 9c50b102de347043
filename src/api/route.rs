//! A route: one method of one path, with all that the service and its documentation say of it.

use std::fmt;

use actix_web::http::Method;

use crate::api::call::Call;
use crate::api::operation::Operation;
use crate::api::reply::Answer;
use crate::wire::microversion::{Microversion, V1_0};
#[cfg(test)]
use crate::wire::schema::{LazySchema, Versions};

/// A function that answers calls.
pub type Handler = fn(Call) -> Answer;

/// How a route takes a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// The body must be sent as `application/json`.
    Json,
    /// The same before this version. From this version on the body is ignored.
    JsonBefore(Microversion),
    /// The body may be JSON or a form, or be absent.
    JsonOrForm,
    /// The body is ignored.
    Ignored,
}

/// The API that a route belongs to. It decides on the form of errors, and on whether there are versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenStack Placement's.
    Placement,
    /// That of Triton's CNAPI.
    Cnapi,
    /// Health and metrics, for operators' machinery. They have no versions.
    Admin,
}

/// The answer to a request whose version is older than its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooOld {
    /// 404, as if the route did not exist.
    NotFound,
    /// 405 without `Allow`.
    MethodNotAllowed,
}

/// One method of one path.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with names in braces for its parameters.
    pub path: &'static str,
    /// The API that the route belongs to.
    pub dialect: Dialect,
    /// The first version that has the route.
    pub since: Microversion,
    /// The answer to earlier versions.
    pub too_old: TooOld,
    /// The policy rule that guards the route. A route without a rule is open to all, also without a token.
    pub rule: Option<&'static str>,
    /// How the route takes a body.
    pub body: BodyKind,
    /// Whether `Accept` must take JSON.
    pub accept_checked: bool,
    /// Whether `Accept` and content type are checked before the version.
    pub type_before_version: bool,
    /// The function that answers.
    pub handler: Handler,
    /// The documentation. Routes for operators' machinery have none.
    pub operation: Option<Operation>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} since {}", self.method, self.path, self.since)
    }
}

/// A handler for a route, made of an async function.
macro_rules! answer {
    ($function:path) => {
        |call| Box::pin($function(call))
    };
}
pub(crate) use answer;

/// A POST, which takes JSON.
pub(crate) const fn post(path: &'static str, rule: &'static str, handler: Handler) -> Route {
    let mut route = route(Method::POST, path, rule, handler);
    route.body = BodyKind::Json;
    route
}

/// A PUT, which takes JSON.
pub(crate) const fn put(path: &'static str, rule: &'static str, handler: Handler) -> Route {
    let mut route = route(Method::PUT, path, rule, handler);
    route.body = BodyKind::Json;
    route
}

/// A DELETE, which takes no body.
pub(crate) const fn delete(path: &'static str, rule: &'static str, handler: Handler) -> Route {
    route(Method::DELETE, path, rule, handler)
}

/// A GET, which answers with JSON. Its client must accept that.
pub(crate) const fn get(path: &'static str, rule: &'static str, handler: Handler) -> Route {
    let mut route = route(Method::GET, path, rule, handler);
    route.accept_checked = true;
    route
}

/// A route of CNAPI, which takes a body with every method but GET.
pub(crate) const fn cnapi(method: Method, path: &'static str, rule: &'static str, handler: Handler) -> Route {
    let body = if matches!(method, Method::GET) { BodyKind::Ignored } else { BodyKind::JsonOrForm };
    let mut route = route(method, path, rule, handler);
    route.dialect = Dialect::Cnapi;
    route.body = body;
    route
}

/// A route for operators' machinery, which sends no token.
pub(crate) const fn for_operators(method: Method, path: &'static str, handler: Handler) -> Route {
    let mut route = route(method, path, "", handler).unguarded();
    route.dialect = Dialect::Admin;
    route
}

/// A route of Placement's API without a body.
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

    /// With its documentation.
    pub(crate) const fn described(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// The schemas of query string and body, in all versions.
    #[cfg(test)]
    pub(crate) fn schemas(&self) -> impl Iterator<Item = &'static LazySchema> {
        let operations = self.operation.iter();
        let histories = operations.flat_map(|operation| operation.query.iter().chain(operation.body.iter()));
        histories.flat_map(Versions::iter).map(|(_, schema)| schema)
    }
}

//! The table of routes, and finding the one that a path means.

use std::fmt;
use std::sync::LazyLock;

use actix_web::http::Method;

use super::cnapi::{draft, tickets};
use crate::api::openapi::docs;
use crate::api::resources::{
    admin, aggregates, allocation_candidates, allocations, inventories, reshaper, resource_classes,
    resource_providers, root, traits, usages,
};
use crate::api::{Answer, Call, Door, waitlist};
use crate::auth::policy;
use crate::metrics;
use crate::wire::microversion::{
    Microversion, V1_0, V1_1, V1_2, V1_5, V1_6, V1_7, V1_9, V1_10, V1_13, V1_30,
};

/// A function that answers calls.
pub type Handler = fn(Call) -> Answer;

/// The treatment of a request's body by a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// It must be sent as `application/json`.
    Json,
    /// The same before this version, from which on the body is ignored.
    JsonBefore(Microversion),
    /// It may be JSON or a form, or not be there.
    JsonOrForm,
    /// A body is ignored.
    Ignored,
}

/// The API that a route belongs to. It decides on the form of errors, and on whether there are versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenStack Placement's.
    Placement,
    /// That of Triton's CNAPI.
    Cnapi,
    /// Health and metrics, which operators' machinery asks for and which have no versions.
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
    /// The path, with names in braces where something is filled in.
    pub path: &'static str,
    /// The API that the route belongs to.
    pub dialect: Dialect,
    /// The first version that has the route.
    pub since: Microversion,
    /// The answer to earlier versions.
    pub too_old: TooOld,
    /// The policy rule that guards it; those without one are open to all, also without a token.
    pub rule: Option<&'static str>,
    /// The treatment of a body.
    pub body: BodyKind,
    /// Whether `Accept` must take JSON.
    pub accept_checked: bool,
    /// Whether `Accept` and content type are checked before the version.
    pub type_before_version: bool,
    /// The function that answers.
    pub handler: Handler,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} since {}", self.method, self.path, self.since)
    }
}

/// A handler for the table, made of an async function.
macro_rules! answer {
    ($function:path) => {
        |call| Box::pin($function(call))
    };
}

/// Every route there is.
pub static ROUTES: &[Route] = &[
    get("/", "", answer!(root::show)).any_accept().unguarded(),
    get("/openapi.json", "", answer!(docs::openapi)).any_accept().unguarded(),
    get("/docs", "", answer!(docs::page)).any_accept().unguarded(),
    get("/resource_classes", "placement:resource_classes:list", answer!(resource_classes::list)).since(V1_2),
    post("/resource_classes", "placement:resource_classes:create", answer!(resource_classes::create))
        .since(V1_2),
    get(RESOURCE_CLASS, "placement:resource_classes:show", answer!(resource_classes::show)).since(V1_2),
    put(RESOURCE_CLASS, "placement:resource_classes:update", answer!(resource_classes::update))
        .since(V1_2)
        .body_before(V1_7),
    delete(RESOURCE_CLASS, "placement:resource_classes:delete", answer!(resource_classes::delete))
        .since(V1_2),
    get("/resource_providers", "placement:resource_providers:list", answer!(resource_providers::list)),
    post("/resource_providers", "placement:resource_providers:create", answer!(resource_providers::create)),
    get(PROVIDER, "placement:resource_providers:show", answer!(resource_providers::show)),
    put(PROVIDER, "placement:resource_providers:update", answer!(resource_providers::update)),
    delete(PROVIDER, "placement:resource_providers:delete", answer!(resource_providers::delete)),
    get(INVENTORIES, "placement:resource_providers:inventories:list", answer!(inventories::list)),
    post(INVENTORIES, "placement:resource_providers:inventories:create", answer!(inventories::create)),
    put(INVENTORIES, "placement:resource_providers:inventories:update", answer!(inventories::replace)),
    delete(INVENTORIES, "placement:resource_providers:inventories:delete", answer!(inventories::delete_all))
        .since(V1_5)
        .method_not_allowed_before(),
    get(INVENTORY, "placement:resource_providers:inventories:show", answer!(inventories::show)),
    put(INVENTORY, "placement:resource_providers:inventories:update", answer!(inventories::update)),
    delete(INVENTORY, "placement:resource_providers:inventories:delete", answer!(inventories::delete)),
    get(
        "/resource_providers/{uuid}/usages",
        "placement:resource_providers:usages",
        answer!(usages::list_by_provider),
    ),
    get(AGGREGATES, "placement:resource_providers:aggregates:list", answer!(aggregates::list))
        .since(V1_1)
        .type_first(),
    put(AGGREGATES, "placement:resource_providers:aggregates:update", answer!(aggregates::replace))
        .since(V1_1)
        .type_first(),
    get(
        "/resource_providers/{uuid}/allocations",
        "placement:resource_providers:allocations:list",
        answer!(allocations::list_by_provider),
    ),
    get(PROVIDER_TRAITS, "placement:resource_providers:traits:list", answer!(traits::list_by_provider))
        .since(V1_6),
    put(PROVIDER_TRAITS, "placement:resource_providers:traits:update", answer!(traits::replace)).since(V1_6),
    delete(
        PROVIDER_TRAITS,
        "placement:resource_providers:traits:delete",
        answer!(traits::delete_by_provider),
    )
    .since(V1_6),
    post("/allocations", "placement:allocations:manage", answer!(allocations::replace_several)).since(V1_13),
    get(CONSUMER, "placement:allocations:list", answer!(allocations::list_by_consumer)),
    put(CONSUMER, "placement:allocations:update", answer!(allocations::replace)),
    delete(CONSUMER, "placement:allocations:delete", answer!(allocations::delete)),
    get(
        "/allocation_candidates",
        "placement:allocation_candidates:list",
        answer!(allocation_candidates::list),
    )
    .since(V1_10),
    get("/traits", "placement:traits:list", answer!(traits::list)).since(V1_6),
    get(TRAIT, "placement:traits:show", answer!(traits::show)).since(V1_6).any_accept(),
    put(TRAIT, "placement:traits:update", answer!(traits::ensure)).since(V1_6).any_body(),
    delete(TRAIT, "placement:traits:delete", answer!(traits::delete)).since(V1_6),
    get("/usages", policy::USAGES, answer!(usages::list_by_project)).since(V1_9),
    post("/reshaper", "placement:reshaper:reshape", answer!(reshaper::reshape)).since(V1_30),
    get(PROVIDER_WAITLIST, policy::WAITLIST_LIST, answer!(waitlist::list)),
    post(PROVIDER_WAITLIST, policy::WAITLIST_CREATE, answer!(waitlist::create)),
    get(TICKET, policy::WAITLIST_SHOW, answer!(waitlist::show)),
    put(TICKET, policy::WAITLIST_UPDATE, answer!(waitlist::renew)),
    delete(TICKET, policy::WAITLIST_DELETE, answer!(waitlist::delete)),
    get(WAITLIST, policy::WAITLIST_LIST, answer!(waitlist::list_all)),
    post(WAITLIST, policy::WAITLIST_CREATE, answer!(waitlist::create_group)),
    get(GROUP, policy::WAITLIST_SHOW, answer!(waitlist::show_group)),
    put(GROUP, policy::WAITLIST_UPDATE, answer!(waitlist::renew_group)),
    delete(GROUP, policy::WAITLIST_DELETE, answer!(waitlist::delete_group)),
    for_operators(Method::GET, "/healthcheck", answer!(admin::health)),
    for_operators(Method::HEAD, "/healthcheck", answer!(admin::health)),
    for_operators(Method::GET, "/metrics", answer!(admin::metrics)),
    cnapi(Method::GET, SERVER_TICKETS, policy::WAITLIST_LIST, answer!(tickets::list)),
    cnapi(Method::POST, SERVER_TICKETS, policy::WAITLIST_CREATE, answer!(tickets::create)),
    cnapi(Method::DELETE, SERVER_TICKETS, policy::WAITLIST_DELETE_ALL, answer!(tickets::delete_all)),
    cnapi(Method::GET, CNAPI_TICKET, policy::WAITLIST_SHOW, answer!(tickets::show)),
    cnapi(Method::DELETE, CNAPI_TICKET, policy::WAITLIST_DELETE, answer!(tickets::delete)),
    cnapi(Method::GET, CNAPI_WAIT, policy::WAITLIST_SHOW, answer!(tickets::wait)),
    cnapi(Method::PUT, CNAPI_RELEASE, policy::WAITLIST_DELETE, answer!(tickets::release)),
    cnapi(Method::GET, DRAFT, policy::WAITLIST_LIST, answer!(draft::list)),
    cnapi(Method::POST, DRAFT, policy::WAITLIST_CREATE, answer!(draft::create)),
    cnapi(Method::GET, DRAFT_TICKET, policy::WAITLIST_SHOW, answer!(draft::show)),
    cnapi(Method::DELETE, DRAFT_TICKET, policy::WAITLIST_DELETE, answer!(draft::delete)),
];

pub(crate) const RESOURCE_CLASS: &str = "/resource_classes/{name}";
pub(crate) const PROVIDER: &str = "/resource_providers/{uuid}";
pub(crate) const INVENTORIES: &str = "/resource_providers/{uuid}/inventories";
pub(crate) const INVENTORY: &str = "/resource_providers/{uuid}/inventories/{resource_class}";
pub(crate) const AGGREGATES: &str = "/resource_providers/{uuid}/aggregates";
pub(crate) const PROVIDER_TRAITS: &str = "/resource_providers/{uuid}/traits";
pub(crate) const CONSUMER: &str = "/allocations/{consumer_uuid}";
pub(crate) const TRAIT: &str = "/traits/{name}";
pub(crate) const PROVIDER_WAITLIST: &str = "/resource_providers/{uuid}/waitlist";
pub(crate) const TICKET: &str = "/resource_providers/{uuid}/waitlist/{ticket}";
pub(crate) const WAITLIST: &str = "/waitlist";
pub(crate) const GROUP: &str = "/waitlist/{group}";
pub(crate) const SERVER_TICKETS: &str = "/servers/{server}/tickets";
pub(crate) const CNAPI_TICKET: &str = "/tickets/{ticket}";
pub(crate) const CNAPI_WAIT: &str = "/tickets/{ticket}/wait";
pub(crate) const CNAPI_RELEASE: &str = "/tickets/{ticket}/release";
pub(crate) const DRAFT: &str = "/servers/{server}/waitlist";
pub(crate) const DRAFT_TICKET: &str = "/servers/{server}/waitlist/{ticket}";

/// A POST brings JSON.
const fn post(path: &'static str, rule: &'static str, handler: Handler) -> Route {
    let mut route = route(Method::POST, path, rule, handler);
    route.body = BodyKind::Json;
    route
}

/// A PUT brings JSON.
const fn put(path: &'static str, rule: &'static str, handler: Handler) -> Route {
    let mut route = route(Method::PUT, path, rule, handler);
    route.body = BodyKind::Json;
    route
}

/// A DELETE brings nothing.
const fn delete(path: &'static str, rule: &'static str, handler: Handler) -> Route {
    route(Method::DELETE, path, rule, handler)
}

/// A GET answers with JSON, and so must be asked for that.
const fn get(path: &'static str, rule: &'static str, handler: Handler) -> Route {
    let mut route = route(Method::GET, path, rule, handler);
    route.accept_checked = true;
    route
}

/// A route of CNAPI, which reads a body wherever one comes but on GET.
const fn cnapi(method: Method, path: &'static str, rule: &'static str, handler: Handler) -> Route {
    let body = if matches!(method, Method::GET) { BodyKind::Ignored } else { BodyKind::JsonOrForm };
    let mut route = route(method, path, rule, handler);
    route.dialect = Dialect::Cnapi;
    route.body = body;
    route
}

/// A route for operators' machinery, which sends no token.
const fn for_operators(method: Method, path: &'static str, handler: Handler) -> Route {
    let mut route = route(method, path, "", handler).unguarded();
    route.dialect = Dialect::Admin;
    route
}

/// A route as most are.
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
    }
}

impl Route {
    const fn since(mut self, version: Microversion) -> Self {
        self.since = version;
        self
    }

    const fn body_before(mut self, version: Microversion) -> Self {
        self.body = BodyKind::JsonBefore(version);
        self
    }

    const fn any_body(mut self) -> Self {
        self.body = BodyKind::Ignored;
        self
    }

    const fn type_first(mut self) -> Self {
        self.type_before_version = true;
        self
    }

    const fn method_not_allowed_before(mut self) -> Self {
        self.too_old = TooOld::MethodNotAllowed;
        self
    }

    const fn unguarded(mut self) -> Self {
        self.rule = None;
        self
    }

    const fn any_accept(mut self) -> Self {
        self.accept_checked = false;
        self
    }
}

/// The values that a path fills in, by their names in the route's path.
pub type Params = Vec<(&'static str, String)>;

/// The routes that a path has at an address.
#[derive(Debug)]
pub enum Found {
    /// The route of the request's method, and the values that the path fills in.
    Route(&'static Route, Params),
    /// The path has no route of this method. The text lists its other methods.
    OtherMethods(String),
    /// The path has no route.
    Nothing,
}

/// The place of a request in the table of routes.
#[derive(Debug)]
pub struct Resolved {
    /// The API that the path belongs to. A path without a route belongs to the API of its address.
    pub dialect: Dialect,
    /// Whether the path has a route without a policy rule. Requests for such a path need no token.
    pub is_open: bool,
    /// The route, or the reason why there is none.
    pub found: Found,
}

impl Resolved {
    /// The route of the request's path and method.
    #[must_use]
    pub fn route(&self) -> Option<&'static Route> {
        match self.found {
            Found::Route(route, _) => Some(route),
            Found::OtherMethods(_) | Found::Nothing => None,
        }
    }
}

impl Route {
    /// The counters of a route of the table.
    #[must_use]
    pub fn metrics(&'static self) -> Option<&'static metrics::http::Route> {
        static METRICS: LazyLock<Vec<metrics::http::Route>> =
            LazyLock::new(|| ROUTES.iter().map(|route| metrics::http::Route::new(route.path)).collect());
        // A route's place in the table, by its address: it is asked for with each request.
        let offset = std::ptr::from_ref(self).addr().checked_sub(ROUTES.as_ptr().addr())?;
        METRICS.get(offset / size_of::<Route>())
    }
}

/// Resolves the path of a request at an address. The path is percent-decoded. It is `None` if no route can have
/// the path.
#[must_use]
pub fn resolve(door: Door, method: &Method, path: Option<&str>) -> Resolved {
    let given = path.map(segments);
    let fitting: Vec<_> = given.iter().flat_map(|given| routes_of(door, given)).collect();
    let foreign = fitting.iter().find(|(route, _)| route.dialect != door.dialect());
    let found = match (&given, fitting.iter().find(|(route, _)| route.method == *method)) {
        (Some(given), Some((route, pattern))) => Found::Route(route, filled_in(pattern, given)),
        _ if fitting.is_empty() => Found::Nothing,
        _ => {
            let methods: Vec<_> = fitting.iter().map(|(route, _)| route.method.as_str()).collect();
            Found::OtherMethods(methods.join(", "))
        }
    };
    Resolved {
        dialect: foreign.map_or(door.dialect(), |(route, _)| route.dialect),
        is_open: fitting.iter().any(|(route, _)| route.rule.is_none()),
        found,
    }
}

/// The routes of an address that a path fits, with the segments of their patterns.
fn routes_of(door: Door, given: &[&str]) -> impl Iterator<Item = (&'static Route, &'static [&'static str])> {
    all().filter(move |(route, pattern)| fits(pattern, given) && door.serves(route.dialect))
}

/// Every route with the segments of its path, which each request is held against.
fn all() -> impl Iterator<Item = (&'static Route, &'static [&'static str])> {
    static PATTERNS: LazyLock<Vec<Vec<&str>>> =
        LazyLock::new(|| ROUTES.iter().map(|route| segments(route.path)).collect());
    ROUTES.iter().zip(PATTERNS.iter().map(Vec::as_slice))
}

/// The texts between the slashes of a path. Slashes at its start count as one.
fn segments(path: &str) -> Vec<&str> {
    path.trim_start_matches('/').split('/').collect()
}

/// The name of what a segment of a pattern stands for, if that is something to fill in.
fn blank(wanted: &str) -> Option<&str> {
    wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}'))
}

/// Whether a path fits a pattern. Most differ in how long they are, or at their end.
fn fits(pattern: &[&str], given: &[&str]) -> bool {
    let fits = |(wanted, given): (&&str, &&str)| match blank(wanted) {
        Some(_) => !given.is_empty(),
        None => wanted == given,
    };
    pattern.len() == given.len() && pattern.iter().zip(given).rev().all(fits)
}

/// What a path fills in of the pattern that it fits.
fn filled_in(pattern: &[&'static str], given: &[&str]) -> Params {
    let pairs = pattern.iter().zip(given);
    pairs.filter_map(|(wanted, given)| Some((blank(wanted)?, (*given).to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const API: Door = Door::Api { admin: true };
    const NESTED: &str = "/resource_providers/{uuid}/inventories/{resource_class}";

    #[test]
    fn paths_fill_in_patterns() {
        let pattern = segments(NESTED);
        let fills = |path| {
            let given = segments(path);
            fits(&pattern, &given).then(|| filled_in(&pattern, &given))
        };
        let expected = vec![("uuid", "a b".to_owned()), ("resource_class", "VCPU".to_owned())];
        assert_eq!(fills("/resource_providers/a b/inventories/VCPU"), Some(expected.clone()));
        assert_eq!(fills("//resource_providers/a b/inventories/VCPU"), Some(expected));
        for other in [
            "/resource_providers/a/inventories",
            "/resource_providers/a/inventories/",
            "/resource_providers/a/inventories/VCPU/",
            "/resource_providers//inventories/VCPU",
            "/resource_providers/a/Inventories/VCPU",
            "/resource_providers/a/inventories/VCPU/x",
        ] {
            assert_eq!(fills(other), None, "{other}");
        }
    }

    #[test]
    fn the_root_has_several_spellings() {
        let find = |path| resolve(API, &Method::GET, Some(path)).found;
        for path in ["/", "", "//"] {
            assert!(matches!(find(path), Found::Route(..)), "{path:?}");
        }
        assert!(matches!(find("/x"), Found::Nothing));
        assert!(matches!(find("/allocation_candidates/"), Found::Nothing));
        assert!(matches!(resolve(API, &Method::GET, None).found, Found::Nothing));
    }

    #[test]
    fn each_address_has_its_own_routes() {
        let is_there = |door, path| resolve(door, &Method::GET, Some(path)).route().is_some();
        let (alone, operators) = (Door::Api { admin: false }, Door::Admin);
        for (path, doors) in [
            ("/metrics", vec![API, operators]),
            ("/traits", vec![API, alone]),
            ("/tickets/a", vec![API, alone, Door::Cnapi]),
        ] {
            for door in [API, alone, operators, Door::Cnapi] {
                assert_eq!(is_there(door, path), doors.contains(&door), "{path} {door:?}");
            }
        }
        let dialect = |door, path| resolve(door, &Method::PATCH, path).dialect;
        assert_eq!(dialect(API, Some("/metrics")), Dialect::Admin);
        assert_eq!(dialect(alone, Some("/metrics")), Dialect::Placement);
        assert_eq!(dialect(alone, Some("/tickets/a")), Dialect::Cnapi);
        assert_eq!(dialect(alone, None), Dialect::Placement);
        assert_eq!(dialect(Door::Cnapi, Some("/metrics")), Dialect::Cnapi);
    }

    #[test]
    fn other_methods_are_listed() {
        let Found::OtherMethods(allow) = resolve(API, &Method::HEAD, Some("/")).found else {
            panic!("HEAD is not GET");
        };
        assert_eq!(allow, "GET");
    }

    #[test]
    fn no_route_is_there_twice_and_all_but_a_few_have_a_default_rule() {
        for (index, route) in ROUTES.iter().enumerate() {
            let again =
                ROUTES[..index].iter().any(|other| other.method == route.method && other.path == route.path);
            assert!(!again, "{route:?}");
            assert_eq!(route.metrics().map(metrics::http::Route::path), Some(route.path));
            let open = ["/", "/openapi.json", "/docs", "/healthcheck", "/metrics"].contains(&route.path);
            assert_eq!(route.rule.is_none(), open, "{route:?}");
            assert_eq!(resolve(API, &Method::PATCH, Some(route.path)).is_open, open, "{route:?}");
            let has_rule = |rule: &str| {
                rule.contains(':') && policy::DEFAULTS.iter().any(|default| default.name == rule)
            };
            assert!(route.rule.is_none_or(has_rule), "{route:?}");
        }
    }
}

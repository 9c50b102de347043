//! The table of all routes, and the search for the route of a request.

use std::sync::LazyLock;

use actix_web::http::Method;

use crate::api::cnapi::{draft, tickets};
use crate::api::door::Door;
use crate::api::openapi::pages;
use crate::api::resources::{
    admin, aggregates, allocation_candidates, allocations, inventories, reshaper, resource_classes,
    resource_providers, root, traits, usages,
};
use crate::api::waitlist;
use crate::metrics;

pub use crate::api::route::{BodyKind, Dialect, Route, TooOld};

/// The routes of each resource, in the order of the API reference.
static NOUNS: [&[Route]; 17] = [
    root::ROUTES,
    DOCUMENTS,
    resource_providers::ROUTES,
    resource_classes::ROUTES,
    inventories::ROUTES,
    usages::PROVIDER_ROUTES,
    aggregates::ROUTES,
    allocations::PROVIDER_ROUTES,
    traits::ROUTES,
    allocations::ROUTES,
    allocation_candidates::ROUTES,
    usages::ROUTES,
    reshaper::ROUTES,
    waitlist::ROUTES,
    tickets::ROUTES,
    draft::ROUTES,
    admin::ROUTES,
];

/// The routes of `/openapi.json` and `/docs`. The OpenAPI document describes all routes. So the handler of
/// `/openapi.json` gets the whole table of routes here.
static DOCUMENTS: &[Route] = &pages::routes(|call| Box::pin(pages::openapi(call, rows())));

fn rows() -> &'static [&'static Route] {
    &ROUTES
}

/// All routes.
pub static ROUTES: [&Route; count(&NOUNS)] = joined(&NOUNS);

const fn count(nouns: &[&[Route]]) -> usize {
    let (mut count, mut noun) = (0, 0);
    while noun < nouns.len() {
        count += nouns[noun].len();
        noun += 1;
    }
    count
}

const fn joined<const COUNT: usize>(nouns: &[&'static [Route]]) -> [&'static Route; COUNT] {
    let mut rows = [&nouns[0][0]; COUNT];
    let (mut at, mut noun) = (0, 0);
    while noun < nouns.len() {
        let mut row = 0;
        while row < nouns[noun].len() {
            rows[at] = &nouns[noun][row];
            at += 1;
            row += 1;
        }
        noun += 1;
    }
    rows
}

/// The path parameters of a request: pairs of name and value, such as `("name", "CUSTOM_GOLD")` for the path
/// `/traits/{name}`.
pub type Params = Vec<(&'static str, String)>;

/// The result of the search for the route of a path.
#[derive(Debug)]
pub enum Found {
    /// The route of the path and the method, and the path parameters.
    Route(&'static Route, Params),
    /// The path has routes, but none with the request's method. The text lists the allowed methods: `GET, PUT`.
    OtherMethods(String),
    /// The path has no route.
    Nothing,
}

/// The result of the search for the route of a request.
#[derive(Debug)]
pub struct Resolved {
    /// The APIs of the address that received the request.
    pub door: Door,
    /// The API of the route. A path without a route belongs to the main API of its address.
    pub dialect: Dialect,
    /// True if a route of the path, with any method, has no policy rule. Requests for such a path need no token.
    pub is_open: bool,
    /// The route, or the reason why there is no route.
    pub found: Found,
}

impl Resolved {
    /// Returns the route of the request. Returns None if the path and the method have no route.
    #[must_use]
    pub fn route(&self) -> Option<&'static Route> {
        match self.found {
            Found::Route(route, _) => Some(route),
            Found::OtherMethods(_) | Found::Nothing => None,
        }
    }
}

impl Route {
    /// Returns the metrics of this route. Returns None if this route is not in the table.
    #[must_use]
    pub fn metrics(&'static self) -> Option<&'static metrics::http::Route> {
        static METRICS: LazyLock<Vec<metrics::http::Route>> =
            LazyLock::new(|| ROUTES.iter().map(|route| metrics::http::Route::new(route.path)).collect());
        let place = ROUTES.iter().position(|route| std::ptr::eq(*route, self))?;
        METRICS.get(place)
    }
}

/// Searches for the route of a request at an address. `path` is percent-decoded, and None if it is not UTF-8.
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
        door,
        dialect: foreign.map_or(door.dialect(), |(route, _)| route.dialect),
        is_open: fitting.iter().any(|(route, _)| route.rule.is_none()),
        found,
    }
}

/// Returns the routes that match a path and that the address serves, each with its pattern.
fn routes_of(door: Door, given: &[&str]) -> impl Iterator<Item = (&'static Route, &'static [&'static str])> {
    all().filter(move |(route, pattern)| fits(pattern, given) && door.serves(route.dialect))
}

/// Returns all routes with their patterns. A pattern is the list of the path's segments.
fn all() -> impl Iterator<Item = (&'static Route, &'static [&'static str])> {
    static PATTERNS: LazyLock<Vec<Vec<&str>>> =
        LazyLock::new(|| ROUTES.iter().map(|route| segments(route.path)).collect());
    ROUTES.iter().copied().zip(PATTERNS.iter().map(Vec::as_slice))
}

/// Returns the texts between the slashes of a path. Slashes at the start of the path count as one slash.
fn segments(path: &str) -> Vec<&str> {
    path.trim_start_matches('/').split('/').collect()
}

/// Returns the parameter name of a pattern segment: `name` for `{name}`. Returns None for a segment without
/// braces.
fn blank(wanted: &str) -> Option<&str> {
    wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}'))
}

/// Returns true if a path matches a pattern. The comparison begins at the end, where most patterns differ.
fn fits(pattern: &[&str], given: &[&str]) -> bool {
    let fits = |(wanted, given): (&&str, &&str)| match blank(wanted) {
        Some(_) => !given.is_empty(),
        None => wanted == given,
    };
    pattern.len() == given.len() && pattern.iter().zip(given).rev().all(fits)
}

/// Returns the path parameters of a path that matches a pattern.
fn filled_in(pattern: &[&'static str], given: &[&str]) -> Params {
    let pairs = pattern.iter().zip(given);
    pairs.filter_map(|(wanted, given)| Some((blank(wanted)?, (*given).to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::policy;

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

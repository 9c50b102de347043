//! The table of routes, and finding the one that a path means.

use std::fmt;

use actix_web::http::Method;

use super::microversion::{Microversion, V1_0, V1_10};
use super::{Answer, Call, allocation_candidates, root};

/// A function that answers calls.
pub type Handler = fn(Call) -> Answer;

/// What a route makes of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// It must be sent as `application/json`.
    Json,
    /// The same before this version, from which on the body is ignored.
    JsonBefore(Microversion),
    /// Whatever is sent is not looked at.
    Ignored,
}

/// What a request older than its route is answered.
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
    /// The first version that has the route.
    pub since: Microversion,
    /// What earlier versions are answered.
    pub too_old: TooOld,
    /// The policy rule that guards it; only `/` has none.
    pub rule: Option<&'static str>,
    /// What it makes of a body.
    pub body: BodyKind,
    /// Whether `Accept` must take JSON.
    pub accept_checked: bool,
    /// Whether `Accept` and content type are checked before the version.
    pub type_before_version: bool,
    /// What answers.
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
    get(
        "/allocation_candidates",
        "placement:allocation_candidates:list",
        answer!(allocation_candidates::list),
    )
    .since(V1_10),
];

/// A GET answers with JSON, and so must be asked for that.
const fn get(path: &'static str, rule: &'static str, handler: Handler) -> Route {
    let mut route = route(Method::GET, path, rule, handler);
    route.accept_checked = true;
    route
}

/// A route as most are.
const fn route(method: Method, path: &'static str, rule: &'static str, handler: Handler) -> Route {
    Route {
        method,
        path,
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

    const fn unguarded(mut self) -> Self {
        self.rule = None;
        self
    }

    const fn any_accept(mut self) -> Self {
        self.accept_checked = false;
        self
    }
}

/// What a path stands for.
#[derive(Debug)]
pub enum Found {
    /// A route, and what the path fills in.
    Route(&'static Route, Vec<(&'static str, String)>),
    /// A path that has other methods, these.
    OtherMethods(String),
    /// Nothing.
    Nothing,
}

/// Finds the route of a path that is already percent-decoded.
#[must_use]
pub fn find(method: &Method, path: &str) -> Found {
    let mut others = Vec::new();
    for route in ROUTES {
        if let Some(params) = matches(route.path, path) {
            if route.method == *method {
                return Found::Route(route, params);
            }
            others.push(route.method.as_str());
        }
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others.join(", ")) }
}

/// Whether a path fits a pattern, and what it fills in. Slashes at its start count as one.
fn matches(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut wanted = pattern.trim_start_matches('/').split('/');
    let mut given = path.trim_start_matches('/').split('/');
    let mut params = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(params),
            (Some(wanted), Some(given)) => {
                match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                    Some(name) if !given.is_empty() => params.push((name, given.to_owned())),
                    None if wanted == given => {}
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NESTED: &str = "/resource_providers/{uuid}/inventories/{resource_class}";

    #[test]
    fn paths_fill_in_patterns() {
        let fills = |path| matches(NESTED, path);
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
        for path in ["/", "", "//"] {
            assert!(matches!(find(&Method::GET, path), Found::Route(..)), "{path:?}");
        }
        assert!(matches!(find(&Method::GET, "/x"), Found::Nothing));
        assert!(matches!(find(&Method::GET, "/allocation_candidates/"), Found::Nothing));
    }

    #[test]
    fn other_methods_are_listed() {
        let Found::OtherMethods(allow) = find(&Method::HEAD, "/") else {
            panic!("HEAD is not GET");
        };
        assert_eq!(allow, "GET");
    }

    #[test]
    fn no_route_is_there_twice_and_all_but_the_root_are_guarded() {
        for (index, route) in ROUTES.iter().enumerate() {
            let again =
                ROUTES[..index].iter().any(|other| other.method == route.method && other.path == route.path);
            assert!(!again, "{route:?}");
            assert_eq!(route.rule.is_none(), route.path == "/", "{route:?}");
        }
    }
}

//! Permissions: every route of the table is called by every kind of caller.

use allotment::api::routes::{Dialect, ROUTES, Route};

use crate::support::{Backend, TestApp, exchange};

on_each_database!(each_route_lets_in_whom_it_should: Backend);

/// The callers that a route accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// All, even without a token.
    All,
    /// Administrators and services.
    Operators,
    /// The same, and readers of the project that is asked about.
    Readers,
    /// Services, and administrators as long as the old defaults hold.
    Services,
}

use For::{All, Operators, Readers, Services};

/// A route without a row fails the test.
const ROWS: &[(&str, &str, For)] = &[
    ("GET", "/", All),
    ("GET", "/openapi.json", All),
    ("GET", "/docs", All),
    ("GET", "/resource_classes", Operators),
    ("POST", "/resource_classes", Operators),
    ("GET", "/resource_classes/{name}", Operators),
    ("PUT", "/resource_classes/{name}", Operators),
    ("DELETE", "/resource_classes/{name}", Operators),
    ("GET", "/resource_providers", Operators),
    ("POST", "/resource_providers", Operators),
    ("GET", "/resource_providers/{uuid}", Operators),
    ("PUT", "/resource_providers/{uuid}", Operators),
    ("DELETE", "/resource_providers/{uuid}", Operators),
    ("GET", "/resource_providers/{uuid}/inventories", Operators),
    ("POST", "/resource_providers/{uuid}/inventories", Operators),
    ("PUT", "/resource_providers/{uuid}/inventories", Operators),
    ("DELETE", "/resource_providers/{uuid}/inventories", Operators),
    ("GET", "/resource_providers/{uuid}/inventories/{resource_class}", Operators),
    ("PUT", "/resource_providers/{uuid}/inventories/{resource_class}", Operators),
    ("DELETE", "/resource_providers/{uuid}/inventories/{resource_class}", Operators),
    ("GET", "/resource_providers/{uuid}/usages", Operators),
    ("GET", "/resource_providers/{uuid}/aggregates", Operators),
    ("PUT", "/resource_providers/{uuid}/aggregates", Operators),
    ("GET", "/resource_providers/{uuid}/allocations", Operators),
    ("GET", "/resource_providers/{uuid}/traits", Operators),
    ("PUT", "/resource_providers/{uuid}/traits", Operators),
    ("DELETE", "/resource_providers/{uuid}/traits", Operators),
    ("POST", "/allocations", Operators),
    ("GET", "/allocations/{consumer_uuid}", Operators),
    ("PUT", "/allocations/{consumer_uuid}", Operators),
    ("DELETE", "/allocations/{consumer_uuid}", Operators),
    ("GET", "/allocation_candidates", Operators),
    ("GET", "/traits", Operators),
    ("GET", "/traits/{name}", Operators),
    ("PUT", "/traits/{name}", Operators),
    ("DELETE", "/traits/{name}", Operators),
    ("GET", "/usages", Readers),
    ("POST", "/reshaper", Services),
    ("GET", "/resource_providers/{uuid}/waitlist", Operators),
    ("POST", "/resource_providers/{uuid}/waitlist", Operators),
    ("GET", "/resource_providers/{uuid}/waitlist/{ticket}", Operators),
    ("PUT", "/resource_providers/{uuid}/waitlist/{ticket}", Operators),
    ("DELETE", "/resource_providers/{uuid}/waitlist/{ticket}", Operators),
    ("GET", "/waitlist", Operators),
    ("POST", "/waitlist", Operators),
    ("GET", "/waitlist/{group}", Operators),
    ("PUT", "/waitlist/{group}", Operators),
    ("DELETE", "/waitlist/{group}", Operators),
    ("GET", "/servers/{server}/tickets", Operators),
    ("POST", "/servers/{server}/tickets", Operators),
    ("DELETE", "/servers/{server}/tickets", Operators),
    ("GET", "/tickets/{ticket}", Operators),
    ("DELETE", "/tickets/{ticket}", Operators),
    ("GET", "/tickets/{ticket}/wait", Operators),
    ("PUT", "/tickets/{ticket}/release", Operators),
    ("GET", "/servers/{server}/waitlist", Operators),
    ("POST", "/servers/{server}/waitlist", Operators),
    ("GET", "/servers/{server}/waitlist/{ticket}", Operators),
    ("DELETE", "/servers/{server}/waitlist/{ticket}", Operators),
];

/// The caller of a route.
#[derive(Clone, Copy, Debug)]
enum Caller {
    /// Without a token.
    Nobody,
    /// With a token for the project "lab" and this role, or none.
    InLab(Option<&'static str>),
    /// With a token for another project.
    Elsewhere(&'static str),
    /// With a token for the whole system, which no rule is for.
    OnSystem(&'static str),
}

use Caller::{Elsewhere, InLab, Nobody, OnSystem};

const CALLERS: [Caller; 10] = [
    Nobody,
    InLab(None),
    InLab(Some("admin")),
    InLab(Some("service")),
    InLab(Some("member")),
    InLab(Some("reader")),
    Elsewhere("admin"),
    Elsewhere("reader"),
    OnSystem("admin"),
    OnSystem("reader"),
];

/// The expected answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Unknown,
    Forbidden,
    /// The handler has its say.
    LetIn,
}

impl Caller {
    fn expected(self, whom: For, new_defaults: bool) -> Expected {
        let may = match (whom, self) {
            (All, _) => true,
            (_, Nobody) => return Expected::Unknown,
            (_, OnSystem(_)) => false,
            (Operators | Readers, InLab(Some("admin" | "service")) | Elsewhere("admin")) => true,
            (Readers, InLab(Some("reader"))) => true,
            (Services, InLab(Some("service"))) => true,
            (Services, InLab(Some("admin")) | Elsewhere("admin")) => !new_defaults,
            (Operators | Readers | Services, InLab(_) | Elsewhere(_)) => false,
        };
        if may { Expected::LetIn } else { Expected::Forbidden }
    }

    /// As noauth2 has it.
    fn headers(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Nobody => Vec::new(),
            InLab(role) => vec![("x-auth-token", "ann:lab"), ("x-roles", role.unwrap_or_default())],
            Elsewhere(role) => vec![("x-auth-token", "ann:shop"), ("x-roles", role)],
            OnSystem(role) => {
                vec![("x-auth-token", "ann"), ("x-roles", role), ("openstack-system-scope", "all")]
            }
        }
    }
}

fn each_route_lets_in_whom_it_should(backend: Backend) {
    for route in ROUTES.iter().filter(|route| route.dialect != Dialect::Admin) {
        let count = ROWS.iter().filter(|row| is_of(row, route)).count();
        assert_eq!(count, 1, "{route:?} must have a row");
    }
    for new_defaults in [false, true] {
        let app = TestApp::start_with(backend, |settings| {
            settings.policy.enforce_new_defaults = Some(new_defaults);
        });
        for row in ROWS {
            let route = ROUTES.iter().find(|route| is_of(row, route));
            let route = route.unwrap_or_else(|| panic!("there is no route for {row:?}"));
            for caller in CALLERS {
                let status = ask(&app, route, caller);
                let found = match status {
                    401 => Expected::Unknown,
                    403 => Expected::Forbidden,
                    _ => Expected::LetIn,
                };
                let expected = caller.expected(row.2, new_defaults);
                assert_eq!(found, expected, "{row:?} {caller:?} with new defaults {new_defaults}: {status}");
                assert!(status < 500, "{row:?} {caller:?}: {status}");
            }
        }
    }
}

fn is_of(row: &(&str, &str, For), route: &Route) -> bool {
    row.0 == route.method.as_str() && row.1 == route.path
}

/// Asks for something that there is not, with a body that does nothing, and returns the status.
fn ask(app: &TestApp, route: &Route, caller: Caller) -> u16 {
    let missing = route.path.split('/').map(|part| match part {
        "{name}" | "{resource_class}" => "CUSTOM_MISSING",
        part if part.starts_with('{') => "00000000-0000-4000-8000-000000000000",
        part => part,
    });
    let path = missing.collect::<Vec<_>>().join("/");
    // No handler looks at it but that of usages, whose rule does too.
    let mut request =
        format!("{} {path}?project_id=lab HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", route.method);
    for (name, value) in caller.headers() {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("openstack-api-version: placement 1.39\r\n");
    request.push_str("content-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
    let answer = exchange(app.address(), request.as_bytes()).expect("an answer");
    answer.assert_form();
    answer.status
}

//! Query strings: wrong values of each parameter, unknown ones, and what no query string may be.

use allotment::api::routes::ROUTES;

use super::paths::filled;
use super::{is_told, message};
use crate::support::{TestApp, World};

on_each_database!(wrong_query_strings_are_refused);
on_each_database!(query_strings_that_no_route_looks_at_do_no_harm);

const PROVIDERS: &str = "/resource_providers";
const CANDIDATES: &str = "/allocation_candidates";

/// The routes that read a query string, each with one that is good at the newest version.
const READERS: &[(&str, &str)] = &[
    (PROVIDERS, "name=x"),
    (CANDIDATES, "resources=VCPU:1"),
    ("/traits", "associated=true"),
    ("/usages", "project_id=project"),
];

/// Query strings that are wrong, by path and microversion.
const WRONG: &[(&str, &str, &[&str])] = &[
    ("/traits", "1.6", &["name=CUSTOM_X", "name=", "associated=maybe", "associated=", "associated=1"]),
    (
        "/usages",
        "1.9",
        &["", "user_id=user", "project_id=", "project_id=p&user_id=", "project_id=p&consumer_type=all"],
    ),
    (
        "/usages",
        "1.38",
        &[
            "project_id=p&consumer_type=",
            "project_id=p&consumer_type=instance",
            "project_id=p&consumer_type=%20",
        ],
    ),
    (PROVIDERS, "1.0", &["uuid=", "uuid=x", "member_of={uuid}", "resources=VCPU:1", "in_tree={uuid}"]),
    (PROVIDERS, "1.3", &["member_of=", "member_of=x", "member_of=in:x", "member_of=in:{uuid},x"]),
    (
        PROVIDERS,
        "1.39",
        &[
            "uuid=%7Buuid%7D",
            "in_tree=",
            "in_tree=x",
            "member_of=!x",
            "member_of=!in:",
            "member_of=!!{uuid}",
            "required=",
            "required=!",
            "required=NO_SUCH_TRAIT",
            "required=in:",
            "required=in:NO_SUCH_TRAIT",
            "required=HW_CPU_X86_VMX,,HW_CPU_X86_AVX",
            "required=%00",
            "resources=",
            "resources=VCPU",
            "resources=VCPU:",
            "resources=:1",
            "resources=VCPU:0",
            "resources=VCPU:-1",
            "resources=VCPU:1.5",
            "resources=VCPU:x",
            "resources=VCPU:1e400",
            "resources=VCPU:1,",
            "resources=VCPU:1,,DISK_GB:1",
            "resources=VCPU:1:1",
            "resources=NO_SUCH_CLASS:1",
            "resources=vcpu:1",
        ],
    ),
    (CANDIDATES, "1.10", &["resources=VCPU:1&limit=1", "resources=VCPU:1&required=HW_CPU_X86_VMX"]),
    (
        CANDIDATES,
        "1.39",
        &[
            "",
            "resources=",
            "resources=VCPU",
            "resources=VCPU:0",
            "resources=VCPU:-1",
            "resources=VCPU:1.5",
            "resources=VCPU:1e400",
            "resources=VCPU:x",
            "resources=NO_SUCH_CLASS:1",
            "resources=VCPU:1&limit=0",
            "resources=VCPU:1&limit=-1",
            "resources=VCPU:1&limit=1e400",
            "resources=VCPU:1&limit=x",
            "resources=VCPU:1&limit=",
            "resources=VCPU:1&required=",
            "resources=VCPU:1&required=NO_SUCH_TRAIT",
            "resources=VCPU:1&member_of=x",
            "resources=VCPU:1&member_of=in:",
            "resources=VCPU:1&in_tree=x",
            "resources=VCPU:1&root_required=NO_SUCH_TRAIT",
            "resources=VCPU:1&root_required=",
            "resources=VCPU:1&group_policy=x",
            "resources1=VCPU:1&resources2=VCPU:1",
            "resources=VCPU:1&required1=HW_CPU_X86_VMX",
            "resources1=VCPU:1&same_subtree=2",
            "resources1=VCPU:1&same_subtree=_1,_2",
            "resources!=VCPU:1",
            "resources%00=VCPU:1",
        ],
    ),
];

/// Parts that are wrong in every query string that is read. The test appends each part to a good query.
const WRONG_ANYWHERE: &[&str] = &[
    "no_such_key=1",
    "no_such_key",
    "=",
    "%00=1",
    "%ff=1",
    "name%ff",
    "name=%c3%28",
    "name=%ed%a0%80",
    "NAME=x",
];

fn wrong_query_strings_are_refused(app: TestApp) {
    let world = World::make(app.client());
    let mut wrong = Vec::new();
    let mut see = |version: &str, path: &str, query: &str, expected: &[u16]| {
        let query = query.replace("{uuid}", &world.aggregate);
        let answer = world.client.at(version).get(&format!("{path}?{query}"));
        if !expected.contains(&answer.status) || !is_told(&answer) {
            let answer: String = answer.to_string().chars().take(600).collect();
            wrong.push(format!("at {version}: expected {expected:?}: {answer}"));
        }
    };
    for (path, version, queries) in WRONG {
        for query in *queries {
            see(version, path, query, &[400]);
        }
    }
    for (path, good) in READERS {
        see("1.39", path, good, &[200]);
        for bad in WRONG_ANYWHERE {
            see("1.39", path, &format!("{good}&{bad}"), &[400]);
        }
        see("1.39", path, &format!("{good}%00"), &[400]);
        // More than anything can have, and more than an integer can be.
        for amount in ["2147483648", "9223372036854775808", &"9".repeat(400)] {
            see(
                "1.39",
                path,
                &format!("{good}&limit={amount}"),
                if *path == CANDIDATES { &[200] } else { &[400] },
            );
            if [PROVIDERS, CANDIDATES].contains(path) {
                see("1.39", path, &format!("resources=VCPU:{amount}"), &[200, 400]);
            }
        }
        see("1.39", path, &format!("{good}&{}", "x".repeat(33_000)), &[414]);
        // Many parameters, of which none is known, or all are one.
        see("1.39", path, &"a&".repeat(10_000), &[400]);
        see("1.39", path, &format!("{good}&").repeat(500), &[200, 400]);
    }
    assert!(wrong.is_empty(), "{} are answered wrongly:\n{}", wrong.len(), wrong.join("\n"));
}

fn query_strings_that_no_route_looks_at_do_no_harm(app: TestApp) {
    let world = World::make(app.client());
    for route in ROUTES.iter().filter(|route| route.method == "GET") {
        let path = filled(&world, route.path);
        let plain = world.client.get(&path).status;
        for query in ["no_such_key=1", "%00", "%ff", "=", "&&&", "a[]=1", "?", "%", "%zz", "☃"] {
            let query = query.replace('☃', "%E2%98%83");
            let answer = world.client.get(&format!("{path}?{query}"));
            // One that is read may be refused.
            let is_told = answer.status < 400 || message(&answer).is_some();
            let refused = if answer.is_cnapi() { [400, 409] } else { [400, 400] };
            let is_expected = answer.status == plain || refused.contains(&answer.status);
            assert!(is_expected && is_told, "{route:?}: {answer}");
        }
        let answer = world.client.get(&format!("{path}?{}", "x".repeat(33_000))).expect(414);
        assert!(is_told(&answer), "{route:?}: {answer}");
    }
}

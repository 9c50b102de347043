//! Tables of Placement on MariaDB in character sets that lack characters, as older installations have them.

use allotment::api::routes::ROUTES;
use serde_json::{Value, json};

use crate::api::bad_input::paths::filled;
use crate::api::bad_input::rows::ROWS;
use crate::support::{TestApp, World, allocations, claim};

/// Tables that lack characters, each with a text that they cannot hold.
const NARROW: [(&str, &str); 3] =
    [("utf8mb3_general_ci", "\u{1f600}"), ("utf8mb3_bin", "a\u{1f600}"), ("latin1_swedish_ci", "\u{2603}")];

fn quote(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn each_narrow(test: impl Fn(&TestApp, &World, &str) + Sync) {
    std::thread::scope(|scope| {
        for (collation, text) in NARROW {
            let test = &test;
            scope.spawn(move || {
                let app = TestApp::start_on_tables(collation);
                let world = World::make(app.client());
                test(&app, &world, text);
            });
        }
    });
}

#[test]
fn texts_that_the_tables_cannot_hold_are_not_found() {
    each_narrow(|_, world, text| {
        let (client, text) = (&world.client, quote(text));
        for (method, path, status) in [
            ("GET", format!("/resource_providers/{text}"), 404),
            ("DELETE", format!("/resource_providers/{text}"), 404),
            ("GET", format!("/resource_providers/{text}/inventories"), 404),
            ("GET", format!("/resource_providers/{text}/inventories/VCPU"), 404),
            ("GET", format!("/resource_providers/{}/inventories/{text}", world.provider), 404),
            ("DELETE", format!("/resource_providers/{}/inventories/{text}", world.provider), 404),
            ("DELETE", format!("/resource_providers/{text}/inventories"), 404),
            ("GET", format!("/resource_providers/{text}/usages"), 404),
            ("GET", format!("/resource_providers/{text}/aggregates"), 404),
            ("GET", format!("/resource_providers/{text}/traits"), 404),
            ("DELETE", format!("/resource_providers/{text}/traits"), 404),
            ("GET", format!("/resource_providers/{text}/allocations"), 404),
            ("GET", format!("/resource_providers/{text}/waitlist"), 404),
            ("DELETE", format!("/allocations/{text}"), 404),
            ("GET", format!("/traits/CUSTOM_{text}"), 404),
            ("DELETE", format!("/traits/CUSTOM_{text}"), 404),
            ("GET", format!("/resource_classes/CUSTOM_{text}"), 404),
            ("DELETE", format!("/resource_classes/CUSTOM_{text}"), 404),
        ] {
            client.send(method, &path, &[], None).expect(status);
        }
        let empty = |path: &str, found: Value| assert_eq!(client.get(path).ok(), found, "{path}");
        empty(&format!("/allocations/{text}"), json!({ "allocations": {} }));
        empty(&format!("/usages?project_id={text}"), json!({ "usages": {} }));
        empty(&format!("/usages?project_id=project&user_id={text}"), json!({ "usages": {} }));
        empty(&format!("/resource_providers?name={text}"), json!({ "resource_providers": [] }));
        assert_eq!(client.at("1.9").get(&format!("/usages?project_id={text}")).ok(), json!({ "usages": {} }));
        assert_eq!(client.get(&format!("/traits?name=in:{text}")).ok()["traits"], json!([]));
        assert_eq!(client.get(&format!("/traits?name=startswith:{text}")).ok()["traits"], json!([]));
    });
}

#[test]
fn texts_that_the_tables_cannot_hold_are_not_written() {
    each_narrow(|_, world, text| {
        let client = &world.client;
        let before = world.seen();
        let refused = |answer: crate::support::Answer| {
            let answer = answer.expect(400);
            assert!(answer.detail().contains("character"), "{answer}");
        };
        refused(client.post("/resource_providers", &json!({ "name": format!("host {text}") })));
        let path = format!("/resource_providers/{}", world.provider);
        refused(client.put(&path, &json!({ "name": text })));
        for key in ["project_id", "user_id"] {
            // A consumer that is there, and a new one.
            let generations =
                [(&world.consumer, json!(world.consumer_generation())), (&world.nobody, Value::Null)];
            for (consumer, generation) in generations {
                let mut body = claim(allocations(&world.provider, "VCPU", 1), generation);
                body[key] = text.into();
                refused(client.put(&format!("/allocations/{consumer}"), &body));
                refused(client.post("/allocations", &json!({ consumer: body })));
                let same = json!({
                    "resource_provider_generation": client.generation(&world.other),
                    "inventories": { "VCPU": { "total": 10 } },
                });
                let reshape =
                    json!({ "inventories": { &world.other: same }, "allocations": { consumer: body } });
                refused(client.post("/reshaper", &reshape));
            }
        }
        assert_eq!(world.seen(), before);
    });
}

/// Every text of every route, be it of a path, a query or a body.
#[test]
fn no_text_anywhere_is_an_error_of_the_service() {
    each_narrow(|_, world, text| {
        let mut wrong = Vec::new();
        let mut see = |answer: crate::support::Answer| {
            if answer.status >= 500 {
                wrong.push(answer.to_string());
            }
        };
        for route in ROUTES {
            let rows = ROWS.iter().filter(|row| row.method == route.method && row.route == route.path);
            let mut requests: Vec<_> =
                rows.map(|row| (row.version.to_owned(), Some((row.good)(world).1))).collect();
            if requests.is_empty() {
                requests = vec![(route.since.to_string(), None), ("1.39".to_owned(), None)];
            }
            for segment in route.path.split('/').filter(|segment| segment.starts_with('{')) {
                let path = filled(world, &route.path.replace(segment, &quote(text)));
                for (version, body) in &requests {
                    let client = world.client.at(version);
                    see(match body {
                        Some(body) => client.send_json(route.method.as_str(), &path, body),
                        None => client.send(route.method.as_str(), &path, &[], None),
                    });
                }
            }
        }
        for row in ROWS {
            let (path, good) = (row.good)(world);
            for bad in with_each_text_replaced(&good, text) {
                see(world.client.at(row.version).send_json(row.method, &path, &bad));
            }
        }
        let text = quote(text);
        for (path, keys) in [
            ("/resource_providers", &["name", "uuid", "in_tree", "member_of", "required", "resources"][..]),
            ("/allocation_candidates", &["resources", "required", "member_of", "in_tree", "root_required"]),
            ("/traits", &["name", "associated"]),
            ("/usages", &["project_id", "user_id", "consumer_type"]),
            ("/waitlist", &["scope", "id", "marker", "status"]),
        ] {
            for key in keys {
                for prefix in ["", "in:", "startswith:", "VCPU:1,"] {
                    let rest = if path == "/usages" { "&project_id=p" } else { "&resources1=VCPU:1" };
                    see(world.client.get(&format!("{path}?{key}={prefix}{text}")));
                    see(world.client.get(&format!("{path}?{key}={prefix}{text}{rest}")));
                }
            }
        }
        assert!(wrong.is_empty(), "{} fail:\n{}", wrong.len(), wrong.join("\n"));
    });
}

/// Copies of a value, in each of which another text has the given one instead, or at its end.
fn with_each_text_replaced(value: &Value, text: &str) -> Vec<Value> {
    match value {
        Value::String(old) => vec![text.into(), format!("{old}{text}").into()],
        Value::Array(items) => (0..items.len())
            .flat_map(|at| with_each_text_replaced(&items[at], text).into_iter().map(move |new| (at, new)))
            .map(|(at, new)| {
                let mut copy = items.clone();
                copy[at] = new;
                copy.into()
            })
            .collect(),
        Value::Object(members) => {
            let mut all = Vec::new();
            for (key, old) in members {
                for new in with_each_text_replaced(old, text) {
                    let mut copy = members.clone();
                    copy[key] = new;
                    all.push(copy.into());
                }
                let mut copy = members.clone();
                copy.insert(format!("{key}{text}"), old.clone());
                all.push(copy.into());
            }
            all
        }
        _ => Vec::new(),
    }
}

//! Paths with names in them that nothing has, or could have.

use allotment::api::routes::ROUTES;
use serde_json::json;

use super::message;
use super::rows::ROWS;
use crate::support::{CLASS, TRAIT, TestApp, World, uuid};

on_each_database!(names_that_nothing_has_are_refused);

/// Texts that are neither a name nor a uuid, percent-encoded.
const JUNK: &[&str] = &[
    "x",
    "%20",
    "%00",
    "a%00b",
    "%ff",
    "%c3%28",
    "..",
    "%2e%2e",
    "%2F",
    "a%2Fb",
    "%E2%98%83",
    "'",
    "%22",
    "%25s",
    "--",
    "null",
    "0",
    "-1",
    "1e400",
    "CUSTOM_",
    "CUSTOM_a",
    "custom_x",
    "CUSTOM_%00",
    "00000000-0000-0000-0000",
];

/// The parameters in braces that stand for a uuid, or for the name of something that must exist.
const KNOWN: &[&str] = &["{uuid}", "{consumer_uuid}", "{resource_class}", "{name}"];

/// A route's path with names that there are.
pub fn filled(world: &World, route: &str) -> String {
    let segments = route.split('/').map(|segment| match segment {
        "{uuid}" | "{server}" => world.provider.as_str(),
        "{consumer_uuid}" => world.consumer.as_str(),
        "{resource_class}" => "VCPU",
        "{name}" if route.starts_with("/traits") => TRAIT,
        "{name}" => CLASS,
        // Other parameters get the uuid of a thing that does not exist.
        other => other.strip_prefix('{').map_or(other, |_| "00000000-0000-4000-8000-000000000000"),
    });
    segments.collect::<Vec<_>>().join("/")
}

fn names_that_nothing_has_are_refused(app: TestApp) {
    let world = World::make(app.client());
    let long = "x".repeat(5_000);
    // The bodies are good, so it is the path that is wrong. To make them changes the world.
    let routes: Vec<_> = ROUTES
        .iter()
        .filter(|route| route.path.contains('{'))
        .map(|route| match ROWS.iter().find(|row| route.method == row.method && route.path == row.route) {
            Some(row) => (route, row.version.to_owned(), (row.good)(&world).1),
            None => (route, route.since.to_string(), json!({})),
        })
        .collect();
    let (before, mut wrong) = (world.seen(), Vec::new());
    for (route, version, body) in routes {
        let client = world.client.at(&version);
        for junk in JUNK.iter().copied().chain([long.as_str(), &uuid()]) {
            for segment in route.path.split('/').filter(|segment| segment.starts_with('{')) {
                if segment == "{consumer_uuid}" && junk.len() == 36 {
                    // Any uuid may be a consumer's.
                    continue;
                }
                let path = filled(&world, &route.path.replace(segment, junk));
                let answer = if route.method == "GET" || route.method == "DELETE" {
                    client.send(route.method.as_str(), &path, &[], None)
                } else {
                    client.send_json(route.method.as_str(), &path, &body)
                };
                // The list of a consumer that can't exist is empty, which is no error.
                let is_list = route.method == "GET" && segment == "{consumer_uuid}" && answer.status == 200;
                let is_refused = [400, 404, 405].contains(&answer.status) && message(&answer).is_some();
                // Names of other kinds may be anything.
                let is_free = !KNOWN.contains(&segment) && answer.status < 500;
                if !is_list && !is_refused && !is_free {
                    let answer: String = answer.to_string().chars().take(600).collect();
                    wrong.push(format!("{route:?} at {version}: {answer}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} are answered wrongly:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(world.seen(), before);
}

//! Every call that writes can be fenced by a ticket, and writes nothing when that is not active.

use allotment::api::routes::ROUTES;
use serde_json::Value;

use super::paths::filled;
use super::rows::ROWS;
use crate::support::{TestApp, World, uuid};

on_each_database!(no_write_gets_past_a_ticket_that_is_not_active);

fn no_write_gets_past_a_ticket_that_is_not_active(app: TestApp) {
    let world = World::make(app.client());
    let ticket = uuid();
    let headers = [("content-type", "application/json"), ("x-waitlist-ticket", ticket.as_str())];
    let mut calls: Vec<(&str, &str, String, Value)> = Vec::new();
    for row in ROWS {
        let (path, body) = (row.good)(&world);
        calls.push((row.method, row.version, path, body));
    }
    // These have no body.
    calls.push(("PUT", "1.39", "/traits/CUSTOM_NEW".to_owned(), Value::Null));
    calls.push(("PUT", "1.39", "/resource_classes/CUSTOM_NEW".to_owned(), Value::Null));
    for route in ROUTES.iter().filter(|route| route.method == "DELETE" && route.path != "/waitlist/{group}") {
        let taken = &world.client.get("/waitlist").ok()["tickets"][0];
        let found = taken["uuid"].as_str().unwrap_or_default();
        let mut path = filled(&world, &route.path.replace("{ticket}", found));
        if route.path.ends_with("/tickets") {
            path.push_str("?force=true");
        }
        calls.push(("DELETE", "1.39", path, Value::Null));
    }
    let before = world.seen();
    for (method, version, path, body) in calls {
        let client = world.client.at(version);
        let answer = client.send(method, &path, &headers, Some(body.to_string().as_bytes()));
        assert_eq!(answer.status, 409, "{answer}");
        // In the dialects of CNAPI the words stand elsewhere in the body.
        assert!(answer.to_string().contains(&format!("Ticket {ticket} is not active")), "{answer}");
    }
    assert_eq!(world.seen(), before);
}

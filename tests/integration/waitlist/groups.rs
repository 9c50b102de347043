//! Tickets that are taken together.

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp};
use crate::waitlist::queue::{LONG_WAIT, Queue, number, uuid};

on_each_database!(a_group_is_active_when_all_its_tickets_are);
on_each_database!(a_group_is_taken_whole_or_not_at_all);
on_each_database!(the_lease_of_a_group_runs_when_all_are_active);

/// Asks for a ticket of each of these queues.
pub fn try_join(client: &Client, queues: &[&Queue], more: &Value) -> Answer {
    let tickets: Vec<Value> = queues
        .iter()
        .map(
            |queue| json!({ "resource_provider_uuid": queue.provider, "scope": queue.scope, "id": queue.id }),
        )
        .collect();
    let mut body = json!({ "tickets": tickets, "lease_seconds": 600 });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    client.post("/waitlist", &body)
}

#[track_caller]
pub fn join(client: &Client, queues: &[&Queue]) -> Value {
    try_join(client, queues, &json!({})).expect(201).json()
}

pub fn path(group: &Value) -> String {
    format!("/waitlist/{}", uuid(group))
}

#[track_caller]
pub fn wait(client: &Client, group: &Value, seconds: u32) -> Value {
    client.get(&format!("{}?wait=true&timeout={seconds}", path(group))).expect(200).json()
}

fn a_group_is_active_when_all_its_tickets_are(app: TestApp) {
    let client = app.client();
    let (a, b) = (Queue::new(&client), Queue::new(&client));
    let before = b.join();
    let answer = try_join(&client, &[&a, &b], &json!({ "action": "move", "extra": { "n": 1 } })).expect(201);
    let group = answer.json();
    assert!(answer.header("location").unwrap().ends_with(&path(&group)));
    assert_eq!(group["status"], "queued");
    for ticket in group["tickets"].as_array().unwrap() {
        assert_eq!((&ticket["action"], &ticket["extra"]), (&json!("move"), &json!({ "n": 1 })));
        assert_eq!(ticket["group"], group["uuid"]);
    }
    assert_eq!(wait(&client, &group, 1)["status"], "queued");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| wait(&app.client(), &group, LONG_WAIT));
        b.release(&before);
        let now = waiting.join().unwrap();
        assert_eq!(now["status"], "active", "{now}");
        assert!(number(&now, "generation") > number(&group, "generation"));
        let stale = json!({ "generation": group["generation"], "lease_seconds": 5 });
        assert!(client.put(&path(&group), &stale).is_concurrent_update());
        let body = json!({ "generation": now["generation"], "lease_seconds": 5 });
        let renewed = client.put(&path(&group), &body).expect(200).json();
        for ticket in renewed["tickets"].as_array().unwrap() {
            assert_eq!(ticket["lease_seconds"], 5);
        }
        assert!(client.delete(&format!("{}?generation=1", path(&group))).is_concurrent_update());
    });
    client.delete(&path(&group)).expect(204);
    client.delete(&path(&group)).expect(204);
    assert_eq!(client.get(&path(&group)).json()["status"], "finished");
    let body = json!({ "generation": 1 });
    assert_eq!(client.put(&path(&group), &body).code(), "waitlist.ended");
    for queue in [&a, &b] {
        assert_eq!(queue.list("live")["tickets"], json!([]));
    }
    for path in ["/waitlist/x".to_owned(), format!("/waitlist/{}", crate::support::uuid())] {
        assert_eq!(client.get(&path).code(), "waitlist.ticket_not_found");
        assert_eq!(client.delete(&path).status, 404);
        assert_eq!(client.put(&path, &body).status, 404);
    }
}

fn a_group_is_taken_whole_or_not_at_all(app: TestApp) {
    let client = app.client();
    let (a, b) = (Queue::new(&client), Queue::new(&client));
    let nowhere = Queue { provider: crate::support::uuid(), ..a.clone() };
    let answer = try_join(&client, &[&a, &b, &nowhere], &json!({})).expect(400);
    assert_eq!(answer.code(), "resource_provider.not_found");
    try_join(&client, &[&a, &b, &a], &json!({})).expect(400);
    try_join(&client, &[], &json!({})).expect(400);
    let many: Vec<Queue> = (0..65).map(|n| Queue { id: n.to_string(), ..a.clone() }).collect();
    try_join(&client, &many.iter().collect::<Vec<_>>(), &json!({})).expect(400);
    assert_eq!(client.get("/waitlist?status=all").json(), json!({ "queues": [], "tickets": [] }));
    for table in ["waitlist_queues", "waitlist_tickets", "waitlist_groups", "waitlist_owners"] {
        assert_eq!(app.database.count(&format!("SELECT COUNT(*) AS n FROM {table}")), 0, "{table}");
    }
    let group = join(&client, &many[..64].iter().collect::<Vec<_>>());
    assert_eq!(group["status"], "active");
    // A single one of them can end by itself, and then the group is no longer whole.
    a.release(&group["tickets"][5]);
    assert_eq!(wait(&client, &group, LONG_WAIT)["status"], "finished");
    client.delete(&path(&group)).expect(204);
}

fn the_lease_of_a_group_runs_when_all_are_active(app: TestApp) {
    let client = app.client();
    let (a, b) = (Queue::new(&client), Queue::new(&client));
    let before = b.join();
    let group = join(&client, &[&a, &b]);
    let holding = |group: &Value| -> Vec<bool> {
        group["tickets"].as_array().unwrap().iter().map(|ticket| ticket["expires_at"].is_string()).collect()
    };
    assert_eq!(holding(&group), [false, false]);
    b.release(&before);
    assert_eq!(holding(&wait(&client, &group, LONG_WAIT)), [true, true]);
    client.delete(&path(&group)).expect(204);
    // And at once if all are.
    let group = join(&client, &[&b, &a]);
    assert_eq!((group["status"].as_str(), holding(&group)), (Some("active"), vec![true, true]));
}

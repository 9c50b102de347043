//! `allotment tickets`: what queues there are.

use serde_json::{Value, json};

use crate::support::{Backend, Client, Ended, Program, TestApp};
use crate::waitlist::queue::{Queue, uuid};

fn tickets(app: &TestApp, more: &[&str]) -> Ended {
    let url = format!("http://{}", app.address());
    let mut arguments = vec!["tickets", "--url", &url];
    arguments.extend(more);
    Program::new(&arguments).env("OS_TOKEN", "admin").run()
}

fn rows(ended: &Ended) -> Vec<Vec<String>> {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let words = |line: &str| {
        line.split("  ").map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    ended.stdout.lines().map(words).collect()
}

/// Two providers with queues: three tickets, one, and none.
fn fill(client: &Client) -> (Queue, Queue, Vec<Value>) {
    let (one, other) = (Queue::new(client), Queue::new(client));
    let elsewhere = Queue { scope: "data set".to_owned(), id: "a\u{1b}[2J".to_owned(), ..other.clone() };
    let ended = other.join();
    other.release(&ended);
    let tickets = vec![one.join(), one.join(), one.join(), elsewhere.join()];
    (one, elsewhere, tickets)
}

#[test]
fn queues_are_listed_with_their_tickets() {
    // Pages are short, so that there are several.
    let app = TestApp::start_with(Backend::Sqlite, |settings| settings.waitlist.list_tickets = 2);
    assert_eq!(rows(&tickets(&app, &[])).len(), 1);
    let (one, elsewhere, taken) = fill(&app.client());
    let all = rows(&tickets(&app, &[]));
    assert_eq!(all.len(), 5, "{all:?}");
    assert_eq!(all[0][..5], ["PROVIDER", "SCOPE", "ID", "PLACE", "STATUS"], "{all:?}");
    for (place, ticket) in taken[..3].iter().enumerate() {
        let row = all.iter().find(|row| row.last().unwrap() == uuid(ticket)).unwrap();
        let status = if place == 0 { "active" } else { "queued" };
        let place = (place + 1).to_string();
        assert_eq!(row[..7], [&one.provider, "vm", "one", &place, status, "admin", "admin"], "{row:?}");
    }
    let row = all.iter().find(|row| row.last().unwrap() == uuid(&taken[3])).unwrap();
    assert_eq!(row[..4], [&elsewhere.provider, "data set", "a\\u{1b}[2J", "1"], "{row:?}");

    let own = rows(&tickets(&app, &["--provider", &one.provider]));
    assert_eq!(own.len(), 4, "{own:?}");
    assert!(own[1..].iter().all(|row| row[0] == one.provider), "{own:?}");
    assert_eq!(rows(&tickets(&app, &["--scope", "data set"])).len(), 2);
    assert_eq!(rows(&tickets(&app, &["--id", "two"])).len(), 1);
}

#[test]
fn json_is_that_of_the_service() {
    let app = TestApp::start_with(Backend::Sqlite, |settings| settings.waitlist.list_tickets = 2);
    let (one, _, taken) = fill(&app.client());
    let ended = tickets(&app, &["--json", "--provider", &one.provider]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let shown: Value = serde_json::from_str(&ended.stdout).unwrap();
    let uuids: Vec<&str> = shown["tickets"].as_array().unwrap().iter().map(uuid).collect();
    assert_eq!(uuids, taken[..3].iter().map(uuid).collect::<Vec<_>>());
    assert_eq!(
        shown["queues"],
        json!([{
            "resource_provider_uuid": one.provider, "scope": "vm", "id": "one", "generation": 3,
            "active": uuid(&taken[0]), "queued": 2,
        }])
    );
}

#[test]
fn what_can_not_be_listed_is_told() {
    let app = TestApp::start(Backend::Sqlite);
    let ended = tickets(&app, &["--provider", &crate::support::uuid()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("404"), "{ended:?}");
    let ended = tickets(&app, &["--token", "nobody"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("403"), "{ended:?}");
    let ended = Program::new(&["tickets", "--url", "http://127.0.0.1:1"]).run();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("127.0.0.1:1"), "{ended:?}");
}

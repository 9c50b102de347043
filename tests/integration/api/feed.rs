//! The change feed: a search through one replica finds the writes through all others at once.

use std::thread;
use std::time::{Duration, Instant};

use allotment::server;
use serde_json::{Value, json};

use crate::support::{Backend, Client, Database, TestApp, claim, settings, uuid};

on_each_server!(what_one_replica_writes_the_others_find_at_once: Backend);
on_each_server!(writes_at_the_same_time_are_all_found: Backend);
on_each_server!(a_number_that_is_left_out_is_waited_for_and_then_closed: Backend);
on_each_server!(a_waiter_is_woken_by_a_release_elsewhere: Backend);
on_each_server!(an_entry_of_a_later_release_has_everything_read_again: Backend);
on_each_server!(replicas_that_are_gone_are_forgotten: Backend);

fn replicas(backend: Backend, count: usize) -> TestApp {
    let database = Database::create(backend);
    let servers = (0..count).map(|_| server::start(settings(&database)).unwrap()).collect();
    TestApp::of_replicas(database, servers)
}

/// The number of candidates with all units of a provider.
fn candidates(client: &Client, provider: &str) -> usize {
    let found = client.get(&format!("/allocation_candidates?resources=VCPU:8&in_tree={provider}")).ok();
    found["allocation_requests"].as_array().unwrap().len()
}

/// The number of providers that a list finds.
fn listed(client: &Client, query: &str) -> usize {
    client.get(&format!("/resource_providers?{query}")).ok()["resource_providers"].as_array().unwrap().len()
}

fn what_one_replica_writes_the_others_find_at_once(backend: Backend) {
    let app = replicas(backend, 3);
    let clients = app.clients();
    for round in 0..12 {
        let writer = &clients[round % 3];
        let readers = [&clients[(round + 1) % 3], &clients[(round + 2) % 3]];
        let all = |expected: usize, found: &dyn Fn(&Client) -> usize| {
            readers.iter().for_each(|reader| assert_eq!(found(reader), expected, "round {round}"));
        };
        let provider = writer.new_stocked_provider(&[("VCPU", 8)]);
        all(1, &|reader| candidates(reader, &provider));
        all(1, &|reader| listed(reader, &format!("uuid={provider}")));
        let consumer = uuid();
        let wanted = claim(json!({ &provider: { "resources": { "VCPU": 8 } } }), Value::Null);
        writer.put(&format!("/allocations/{consumer}"), &wanted).expect(204);
        all(0, &|reader| candidates(reader, &provider));
        writer.delete(&format!("/allocations/{consumer}")).expect(204);
        all(1, &|reader| candidates(reader, &provider));
        let name = format!("CUSTOM_{}", provider.replace('-', "_").to_uppercase());
        writer.put(&format!("/traits/{name}"), &Value::Null).expect(201);
        all(0, &|reader| listed(reader, &format!("required={name}")));
        let generation = writer.generation(&provider);
        let traits = json!({ "resource_provider_generation": generation, "traits": [name] });
        writer.put(&format!("/resource_providers/{provider}/traits"), &traits).expect(200);
        all(1, &|reader| listed(reader, &format!("required={name}")));
        let aggregate = uuid();
        let aggregates = json!({ "resource_provider_generation": generation + 1, "aggregates": [aggregate] });
        writer.put(&format!("/resource_providers/{provider}/aggregates"), &aggregates).expect(200);
        all(1, &|reader| listed(reader, &format!("member_of={aggregate}")));
        writer.delete(&format!("/resource_providers/{provider}")).expect(204);
        all(0, &|reader| listed(reader, &format!("uuid={provider}")));
    }
}

fn writes_at_the_same_time_are_all_found(backend: Backend) {
    let app = replicas(backend, 3);
    let clients = app.clients();
    let provider = clients[0].new_stocked_provider(&[("VCPU", 8), ("DISK_GB", 1_000)]);
    thread::scope(|scope| {
        for client in &clients {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let own = client.new_stocked_provider(&[("VCPU", 8)]);
                        let both = json!({ &own: { "resources": { "VCPU": 8 } },
                                           &provider: { "resources": { "DISK_GB": 1 } } });
                        client
                            .put(&format!("/allocations/{}", uuid()), &claim(both, Value::Null))
                            .expect(204);
                        // The claim is shown as a whole: no replica offers the host.
                        clients.iter().for_each(|other| assert_eq!(candidates(other, &own), 0));
                    }
                });
            }
        }
    });
    for client in &clients {
        assert_eq!(listed(client, "resources=VCPU:8"), 1);
        let found = client.get("/allocation_candidates?resources=DISK_GB:1").ok();
        assert_eq!(found["provider_summaries"][&provider]["resources"]["DISK_GB"]["used"], 120);
    }
}

/// A replica of which only the rows are there: its first transaction is still under way, its second one is done.
fn a_number_that_is_left_out_is_waited_for_and_then_closed(backend: Backend) {
    let app = replicas(backend, 1);
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 4)]);
    let now = "'2026-01-01 00:00:00'";
    app.database.execute(&format!(
        "INSERT INTO allotment_replicas VALUES (2, '{}', '', '0', 1, 2, 0, {now}, {now}, '');
         UPDATE inventories SET total = 8, max_unit = 8;
         INSERT INTO allotment_changes VALUES (2, 2, '{{\"whole\":[1]}}')",
        uuid()
    ));
    until(|| candidates(&client, &provider) == 1);
    let first = "SELECT COUNT(*) AS n FROM allotment_changes WHERE replica_id = 2 AND number = 1";
    until(|| app.database.count(first) == 1);
    assert_eq!(app.database.count("SELECT COUNT(*) AS n FROM allotment_changes WHERE entry = '{}'"), 1);
}

/// An entry that a replica cannot read stands for changes of everything.
fn an_entry_of_a_later_release_has_everything_read_again(backend: Backend) {
    let app = replicas(backend, 2);
    let clients = app.clients();
    let provider = clients[0].new_stocked_provider(&[("VCPU", 8)]);
    assert_eq!(candidates(&clients[1], &provider), 1);
    app.database.execute("UPDATE inventories SET total = 4, max_unit = 4");
    assert_eq!(candidates(&clients[1], &provider), 1);
    app.database.execute("INSERT INTO allotment_changes VALUES (1, 1000, '{\"a later release\":1}')");
    until(|| candidates(&clients[1], &provider) == 0);
}

/// No search has asked the waiter's replica for changes before.
fn a_waiter_is_woken_by_a_release_elsewhere(backend: Backend) {
    let database = Database::create(backend);
    let start = || {
        let mut settings = settings(&database);
        // Without the feed, the release would not be noticed within the test.
        settings.waitlist.recheck_seconds = 3_600;
        server::start(settings).unwrap()
    };
    let servers = (0..2).map(|_| start()).collect();
    let app = TestApp::of_replicas(database, servers);
    let [here, elsewhere] = &app.clients()[..] else { panic!("there are two replicas") };
    let path = format!("/resource_providers/{}/waitlist", elsewhere.new_provider());
    let take = || {
        let made =
            elsewhere.post(&path, &json!({ "scope": "vm", "id": "1", "lease_seconds": 600 })).expect(201);
        format!("{path}/{}", made.json()["uuid"].as_str().unwrap())
    };
    let (first, second) = (take(), take());
    thread::scope(|scope| {
        let waits = scope.spawn(|| here.get(&format!("{second}?wait=true&timeout=300")).ok());
        app.until_waiting(1);
        elsewhere.delete(&first).expect(204);
        assert_eq!(waits.join().unwrap()["status"], "active");
    });
}

fn replicas_that_are_gone_are_forgotten(backend: Backend) {
    let app = replicas(backend, 1);
    let now = "'2026-01-01 00:00:00'";
    app.database.execute(&format!(
        "INSERT INTO allotment_replicas VALUES (2, '{}', '', '0', 1, 2, 0, {now}, {now}, '');
         INSERT INTO allotment_replicas VALUES (3, '{}', '', '0', 1, 3, 0, {now}, {now}, '');
         INSERT INTO allotment_changes VALUES (2, 1, '{{}}')",
        uuid(),
        uuid()
    ));
    // The newest id stays, since the next replica gets the number after it.
    until(|| app.database.count("SELECT COUNT(*) AS n FROM allotment_replicas WHERE id = 2") == 0);
    assert_eq!(app.database.count("SELECT COUNT(*) AS n FROM allotment_changes WHERE replica_id = 2"), 0);
    assert_eq!(app.database.count("SELECT COUNT(*) AS n FROM allotment_replicas"), 2);
    app.client().new_stocked_provider(&[("VCPU", 8)]);
}

/// Waits until something is so, which it will be.
fn until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came");
        thread::sleep(Duration::from_millis(20));
    }
}

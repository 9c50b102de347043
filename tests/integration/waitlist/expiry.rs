//! Tickets whose time runs out, clocks that jump, old tickets that are forgotten.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{Backend, Client, Database, TestApp, allocations, claim};
use crate::waitlist::clock::{self, Shifted};
use crate::waitlist::fences::fenced;
use crate::waitlist::groups;
use crate::waitlist::queue::{LONG_WAIT, Queue, number, uuid};

on_each_database!(a_lease_that_runs_out_passes_the_turn_on: Backend);
on_each_database!(those_whose_time_is_over_are_passed_by: Backend);
on_each_database!(a_clock_that_jumps_loses_nobody: Backend);
on_each_database!(who_overstays_can_write_no_more: Backend);
on_each_database!(old_tickets_are_forgotten: Backend);
on_each_server!(a_waiter_of_another_replica_is_answered: Backend);

fn a_lease_that_runs_out_passes_the_turn_on(backend: Backend) {
    let (app, _) = clock::start(backend, 1);
    let queue = Queue::new(&app.client());
    let first = queue.try_join(&json!({ "lease_seconds": 1 })).expect(201).json();
    let second = queue.join();
    let now = queue.wait(&second, LONG_WAIT);
    assert_eq!(now["status"], "active", "{now}");
    assert_eq!(queue.show(&first)["status"], "expired");
    // Two came and one ended.
    assert_eq!((queue.generation(), number(&now, "fence")), (3, 3));
    // Releasing it is harmless, renewing it too late.
    queue.release(&first);
    assert_eq!(queue.show(&first)["status"], "expired");
    let renewal = json!({ "generation": 2, "lease_seconds": 5 });
    assert_eq!(queue.client.put(&queue.ticket_path(uuid(&first)), &renewal).code(), "waitlist.ended");
}

fn those_whose_time_is_over_are_passed_by(backend: Backend) {
    let (app, clock) = clock::start(backend, 1);
    let queue = Queue::new(&app.client());
    let (other, group_queue) = (Queue::new(&app.client()), Queue { id: "two".to_owned(), ..queue.clone() });
    let soon = json!({ "expires_at": (chrono::Utc::now() + chrono::TimeDelta::seconds(1_000)).to_rfc3339() });
    let first = queue.try_join(&json!({ "lease_seconds": 2_000 })).expect(201).json();
    let waits: Vec<Value> = (0..3).map(|_| queue.try_join(&soon).expect(201).json()).collect();
    let last = queue.join();
    let group = groups::join(&app.client(), &[&queue, &other, &group_queue]);
    clock.jump(1_500);
    for ticket in &waits {
        assert_eq!(queue.wait(ticket, LONG_WAIT)["status"], "expired");
    }
    assert_eq!(queue.show(&first)["status"], "active");
    assert_eq!(queue.show(&last)["status"], "queued");
    // Each of six came, and three ended by themselves.
    assert_eq!(queue.generation(), 9);
    queue.release(&first);
    assert_eq!(queue.wait(&last, LONG_WAIT)["status"], "active");
    queue.release(&last);
    assert_eq!(groups::wait(&app.client(), &group, LONG_WAIT)["status"], "active");
}

fn a_clock_that_jumps_loses_nobody(backend: Backend) {
    let (app, clock) = clock::start(backend, 1);
    let queue = Queue::new(&app.client());
    let tickets: Vec<Value> = (0..4).map(|_| queue.join()).collect();
    clock.jump(3_600);
    // The lease of the first is over, that of the second begins an hour late.
    assert_eq!(queue.wait(&tickets[1], LONG_WAIT)["status"], "active");
    assert_eq!(queue.show(&tickets[0])["status"], "expired");
    clock.jump(0);
    let second = queue.show(&tickets[1]);
    assert_eq!(second["status"], "active", "{second}");
    // It can be renewed by the clock as it is now, and others still run out.
    let renewal = json!({ "generation": second["generation"], "lease_seconds": 1 });
    queue.client.put(&queue.ticket_path(uuid(&second)), &renewal).expect(200);
    assert_eq!(queue.wait(&tickets[2], LONG_WAIT)["status"], "active");
    clock.jump(-3_600);
    queue.release(&tickets[2]);
    assert_eq!(queue.wait(&tickets[3], LONG_WAIT)["status"], "active");
    let third = queue.show(&tickets[3]);
    let renewal = json!({ "generation": third["generation"], "lease_seconds": 1 });
    queue.client.put(&queue.ticket_path(uuid(&third)), &renewal).expect(200);
    let after = queue.join();
    assert_eq!(queue.wait(&after, LONG_WAIT)["status"], "active");
    queue.release(&after);
    let ended = queue.list("all");
    assert_eq!(ended["queues"][0]["active"], Value::Null);
    let statuses: Vec<&str> =
        ended["tickets"].as_array().unwrap().iter().map(|t| t["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["expired", "expired", "finished", "expired", "finished"]);
}

/// A holder that is paused beyond its lease, and writes when it goes on.
fn who_overstays_can_write_no_more(backend: Backend) {
    let (app, clock) = clock::start(backend, 1);
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 10)]);
    let queue = Queue { provider, ..Queue::new(&client) };
    let (paused, next) = (queue.join(), queue.join());
    let consumer = format!("/allocations/{}", crate::support::uuid());
    let wanted = |amount| claim(allocations(&queue.provider, "VCPU", amount), Value::Null);
    clock.jump(700);
    let next = queue.wait(&next, LONG_WAIT);
    assert_eq!(next["status"], "active");
    let late = fenced(&client, "PUT", &consumer, &wanted(7), uuid(&paused));
    assert_eq!((late.status, late.code().as_str()), (409, "waitlist.not_active"), "{late}");
    assert_eq!(client.usages(&queue.provider), json!({ "VCPU": 0 }));
    assert_eq!(client.get(&consumer).json()["allocations"], json!({}));
    assert_eq!(client.generation(&queue.provider), 1);
    client.put(&consumer, &wanted(2)).expect(204);
    assert_eq!(client.usages(&queue.provider), json!({ "VCPU": 2 }));
    assert!(number(&next, "fence") > number(&paused, "fence"));
}

fn old_tickets_are_forgotten(backend: Backend) {
    let database = Database::create(backend);
    let clock = Arc::new(Shifted::default());
    let app = TestApp::of_replicas(database, vec![]);
    let first = clock::replica(&app.database, &clock);
    let client = Client::new(first.addr);
    let queue = Queue::new(&client);
    let group = groups::join(&client, &[&queue]);
    client.delete(&groups::path(&group)).expect(204);
    let generation = queue.generation();
    let other = Queue { id: "two".to_owned(), ..queue.clone() };
    let (ended, live) = (
        other.try_join(&json!({ "expires_at": "2037-01-01" })).ok(),
        other.try_join(&json!({ "expires_at": "2037-01-01" })).ok(),
    );
    other.release(&ended);
    drop(first);
    // Old tickets are deleted after the start, and then at intervals.
    clock.jump(31 * 86_400);
    let second = clock::replica(&app.database, &clock);
    let client = Client::new(second.addr);
    let (queue, other) = (queue.with(&client), other.with(&client));
    // It is forgotten before anything that expires later is ended.
    let witness = Queue::new(&client);
    let soon = json!({ "lease_seconds": 1 });
    let (first, second) = (witness.try_join(&soon).ok(), witness.join());
    let _ = (first, witness.wait(&second, LONG_WAIT));
    for (what, left) in [("waitlist_groups", 0), ("waitlist_queues", 2), ("waitlist_tickets", 3)] {
        let sql = format!("SELECT COUNT(*) AS n FROM {what}");
        assert_eq!(app.database.count(&sql), left, "{what}");
    }
    client.get(&groups::path(&group)).expect(404);
    assert_eq!(other.show(&live)["status"], "active");
    client.get(&other.ticket_path(uuid(&ended))).expect(404);
    // A queue that is used again goes on above where it was, though it counts as never used.
    let again = queue.try_join(&json!({ "queue_generation": null })).expect(201).json();
    assert!(number(&again, "fence") > generation, "{again}");
}

fn a_waiter_of_another_replica_is_answered(backend: Backend) {
    let (app, clock) = clock::start(backend, 2);
    let clients = app.clients();
    let queue = Queue::new(&clients[0]);
    let there = queue.with(&clients[1]);
    let tickets: Vec<Value> = [&queue, &there, &queue, &there].map(Queue::join).to_vec();
    let group = groups::join(&clients[1], &[&queue]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| there.wait(&tickets[1], LONG_WAIT));
        let group = scope.spawn(|| groups::wait(&clients[1], &group, LONG_WAIT));
        queue.release(&tickets[0]);
        assert_eq!(waiting.join().unwrap()["status"], "active");
        // Neither replica has to be told that time is over.
        clock.jump(601);
        assert_eq!(there.wait(&tickets[2], LONG_WAIT)["status"], "active");
        clock.jump(1_300);
        assert_eq!(queue.wait(&tickets[3], LONG_WAIT)["status"], "active");
        queue.release(&tickets[3]);
        assert_eq!(group.join().unwrap()["status"], "active");
    });
}

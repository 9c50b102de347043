//! Many tickets that expire at one moment: they end in short transactions, and others get on meanwhile.

use std::thread;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::support::{Backend, Database, TestApp, uuid};
use crate::waitlist::clock;
use crate::waitlist::groups;
use crate::waitlist::queue::{LONG_WAIT, Queue, number};

on_each_database!(many_that_expire_at_once_end_in_short_transactions: Backend);
on_each_database!(a_release_passes_by_many_whose_time_is_over: Backend);
on_each_database!(many_holders_that_expire_at_once_pass_their_turns_on: Backend);
on_each_database!(many_groups_that_expire_at_once_are_told: Backend);
on_each_database!(a_newcomer_knows_how_many_are_before_it);

/// The most tickets that may end in one transaction.
const AT_ONCE: i64 = 200;

/// Puts so many queued tickets at the end of a queue, all with this end in seconds from now; returns uuids.
fn fill(database: &Database, queue: &Queue, tickets: i64, seconds: i64) -> Vec<String> {
    let owner = &queue.provider;
    let found = format!("FROM waitlist_queues WHERE owner = '{owner}' AND resource_id = '{}'", queue.id);
    let id = database.count(&format!("SELECT CAST(id AS {}) AS n {found}", database.long()));
    let generation = database.count(&format!("SELECT generation AS n {found}"));
    let end = (Utc::now() + TimeDelta::seconds(seconds)).timestamp_micros();
    let uuids: Vec<String> = (0..tickets).map(|_| uuid()).collect();
    let rows: Vec<String> = uuids
        .iter()
        .zip(generation + 1..)
        .map(|(uuid, position)| {
            format!("({id}, {position}, '{uuid}', 'queued', 1, 0, {end}, '2026-01-01 00:00:00', '2026-01-01 00:00:00')")
        })
        .collect();
    let mut sql = format!(
        "UPDATE waitlist_queues SET generation = generation + {tickets}, live = live + {tickets} WHERE id = {id};"
    );
    for chunk in rows.chunks(500) {
        sql += &format!(
            "INSERT INTO waitlist_tickets (queue_id, position, uuid, status, generation, fenced_writes, \
             expires_at, created_at, updated_at) VALUES {};",
            chunk.join(", ")
        );
    }
    database.connect().batch_execute(&sql).unwrap();
    uuids
}

fn count(database: &Database, what: &str) -> i64 {
    database.count(&format!("SELECT COUNT(*) AS n FROM {what}"))
}

/// Comes back when no more tickets of this status are there than so many.
#[track_caller]
fn until_left(database: &Database, status: &str, number: i64) {
    let what = format!("waitlist_tickets WHERE status = '{status}'");
    for _ in 0..3_000 {
        if count(database, &what) <= number {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{} are {status} after a minute", count(database, &what));
}

/// Asserts that no transaction ended more tickets than it may, and that there were fewer transactions than
/// tickets. All tickets that one transaction changes have the same time.
fn check_transactions(database: &Database, tickets: i64) {
    let expired = "SELECT COUNT(*) AS c FROM waitlist_tickets WHERE status = 'expired' GROUP BY updated_at";
    let largest = database.count(&format!("SELECT MAX(c) AS n FROM ({expired}) AS a"));
    assert!(largest <= AT_ONCE + 1, "{largest} tickets ended at once");
    let number = count(database, &format!("({expired}) AS a"));
    assert!(number >= tickets / AT_ONCE && number <= tickets / AT_ONCE + 20, "{number} transactions");
}

fn many_that_expire_at_once_end_in_short_transactions(backend: Backend) {
    let (app, clock) = clock::start(backend, 1);
    let (queue, other) = (Queue::new(&app.client()), Queue::new(&app.client()));
    let holder = queue.try_join(&json!({ "lease_seconds": 600 })).expect(201).json();
    let dead = fill(&app.database, &queue, 2_000, 600);
    let last = queue.try_join(&json!({ "lease_seconds": 5_000 })).expect(201).json();
    thread::scope(|scope| {
        let waiting: Vec<_> = dead
            .iter()
            .step_by(100)
            .map(|uuid| {
                let queue = queue.with(&app.client());
                scope.spawn(move || queue.wait(&json!({ "uuid": uuid }), LONG_WAIT))
            })
            .collect();
        app.until_waiting(waiting.len());
        clock.jump(1_000);
        let waits = queue.with(&app.client());
        let turn = scope.spawn({
            let last = &last;
            move || waits.wait(last, LONG_WAIT)
        });
        // Other clients come and go.
        for _ in 0..20 {
            let ticket = other.try_join(&json!({ "lease_seconds": 5_000 })).expect(201).json();
            let late = queue.try_join(&json!({ "lease_seconds": 5_000 })).expect(201).json();
            other.release(&ticket);
            queue.release(&late);
        }
        let now = turn.join().unwrap();
        assert_eq!(now["status"], "active", "{now}");
        for thread in waiting {
            assert_eq!(thread.join().unwrap()["status"], "expired");
        }
    });
    until_left(&app.database, "queued", 0);
    assert_eq!(queue.show(&holder)["status"], "expired");
    assert_eq!(count(&app.database, "waitlist_tickets WHERE status = 'expired'"), 2_001);
    // Each ticket that came or ended is a step, and so are those of the other clients.
    assert_eq!(queue.generation(), 2_002 + 2_001 + 40);
    assert_eq!(queue.list("live")["queues"][0]["queued"], 0);
    check_transactions(&app.database, 2_001);
}

fn a_release_passes_by_many_whose_time_is_over(backend: Backend) {
    let (app, _) = clock::start(backend, 1);
    for more in [json!({}), json!({ "lease_seconds": 600 })] {
        let queue = Queue::new(&app.client());
        let holder = queue.join();
        fill(&app.database, &queue, 900, -10);
        // In one of the two rounds no live ticket follows, so that all of them are passed by.
        let last = (more != json!({})).then(|| queue.try_join(&more).expect(201).json());
        queue.release(&holder);
        assert_eq!(queue.show(&holder)["status"], "finished");
        let list = queue.list("live");
        match &last {
            Some(last) => {
                let now = queue.show(last);
                assert_eq!(now["status"], "active", "{now}");
                assert_eq!((number(&now, "fence"), queue.generation()), (902 + 901, 902 + 901));
            }
            None => assert_eq!((list["tickets"].clone(), queue.generation()), (json!([]), 901 + 901)),
        }
    }
    check_transactions(&app.database, 1_800);
}

fn many_holders_that_expire_at_once_pass_their_turns_on(backend: Backend) {
    let (app, clock) = clock::start(backend, 1);
    let first = Queue::new(&app.client());
    let queues: Vec<Queue> = (0..100).map(|id| Queue { id: id.to_string(), ..first.clone() }).collect();
    let next: Vec<Value> = queues
        .iter()
        .map(|queue| {
            queue.try_join(&json!({ "lease_seconds": 600 })).expect(201);
            queue.try_join(&json!({ "lease_seconds": 5_000 })).expect(201).json()
        })
        .collect();
    clock.jump(1_000);
    for (queue, next) in queues.iter().zip(&next) {
        let now = queue.wait(next, LONG_WAIT);
        assert_eq!((&now["status"], &now["fence"]), (&json!("active"), &json!(3)), "{now}");
    }
}

fn many_groups_that_expire_at_once_are_told(backend: Backend) {
    let (app, clock) = clock::start(backend, 1);
    let client = app.client();
    let (a, b) = (Queue::new(&client), Queue::new(&client));
    let end = (Utc::now() + TimeDelta::seconds(600)).to_rfc3339();
    let holder = b.try_join(&json!({ "lease_seconds": 5_000 })).expect(201).json();
    // The first has a ticket that is active; the last has leases.
    let mut body = json!({ "expires_at": end });
    let join = |body: &Value| {
        let tickets = [&a, &b].map(
            |queue| json!({ "resource_provider_uuid": queue.provider, "scope": queue.scope, "id": queue.id }),
        );
        let mut body = body.clone();
        body["tickets"] = json!(tickets);
        client.post("/waitlist", &body).expect(201).json()
    };
    let dead: Vec<Value> = (0..60).map(|_| join(&body)).collect();
    body = json!({ "lease_seconds": 600 });
    let last = join(&body);
    thread::scope(|scope| {
        let waiting: Vec<_> = dead
            .iter()
            .step_by(10)
            .map(|group| scope.spawn(|| groups::wait(&app.client(), group, LONG_WAIT)))
            .collect();
        app.until_waiting(waiting.len());
        clock.jump(1_000);
        for thread in waiting {
            assert_eq!(thread.join().unwrap()["status"], "expired");
        }
    });
    until_left(&app.database, "queued", 1);
    b.release(&holder);
    let now = groups::wait(&client, &last, LONG_WAIT);
    assert_eq!(now["status"], "active", "{now}");
    for ticket in now["tickets"].as_array().unwrap() {
        assert!(ticket["expires_at"].is_string(), "{now}");
    }
}

fn a_newcomer_knows_how_many_are_before_it(app: TestApp) {
    let queue = Queue::new(&app.client());
    let tickets: Vec<Value> = (0..5).map(|_| queue.join()).collect();
    queue.release(&tickets[3]);
    let joined = queue.join();
    assert_eq!(number(&joined, "ahead"), 4);
    queue.release(&tickets[0]);
    assert_eq!(number(&queue.show(&joined), "ahead"), 3);
    assert_eq!(number(&queue.join(), "ahead"), 4);
}

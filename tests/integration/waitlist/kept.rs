//! Tickets whose leases run while they are queued: those whose clients have died go, the others stay.

use std::thread;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{Backend, TestApp};
use crate::waitlist::clock;
use crate::waitlist::groups;
use crate::waitlist::queue::{LONG_WAIT, Queue, number, uuid};

on_each_database!(those_who_have_died_while_queued_leave_together: Backend);
on_each_database!(who_waits_is_kept_alive: Backend);
on_each_database!(the_lease_of_a_queued_ticket_is_renewed: Backend);
on_each_database!(a_group_is_kept_alive_as_a_whole: Backend);
on_each_database!(a_lease_while_queued_needs_a_lease);

fn end(ticket: &Value) -> DateTime<Utc> {
    ticket["expires_at"].as_str().unwrap_or_else(|| panic!("{ticket}")).parse().unwrap()
}

fn take(queue: &Queue, seconds: u32) -> Value {
    queue.try_join(&json!({ "lease_seconds": seconds, "lease_while_queued": true })).expect(201).json()
}

/// Asks again and again until something is so.
#[track_caller]
fn eventually(mut is_so: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("it is not so after a minute");
}

fn those_who_have_died_while_queued_leave_together(backend: Backend) {
    let (app, clock) = clock::start(backend, 1);
    let queue = Queue::new(&app.client());
    let holder = queue.try_join(&json!({ "lease_seconds": 5_000 })).expect(201).json();
    let dead: Vec<Value> = (0..4).map(|_| take(&queue, 600)).collect();
    let patient = queue.join();
    assert_eq!(dead[0]["status"], "queued");
    assert_eq!((&dead[0]["lease_seconds"], &patient["expires_at"]), (&json!(600), &Value::Null));
    clock.jump(700);
    // A client that waited for these tickets would keep them alive.
    for ticket in &dead {
        eventually(|| queue.show(ticket)["status"] == "expired");
    }
    assert_eq!(queue.show(&holder)["status"], "active");
    queue.release(&holder);
    assert_eq!(queue.show(&patient)["status"], "active");
}

fn who_waits_is_kept_alive(backend: Backend) {
    let (app, clock) = clock::start(backend, backend.replicas());
    let clients = app.clients();
    let queue = Queue::new(&clients[0]);
    let holder = queue.try_join(&json!({ "lease_seconds": 9_000 })).expect(201).json();
    let (waits, dead) = (take(&queue, 600), take(&queue, 600));
    thread::scope(|scope| {
        let there = queue.with(&clients[clients.len() - 1]);
        let waiting = scope.spawn({
            let waits = &waits;
            move || there.wait(waits, 200)
        });
        app.until_waiting(1);
        // A client that comes late in the lease starts it again at once.
        clock.jump(500);
        assert_eq!(queue.wait(&waits, 0)["status"], "queued");
        eventually(|| end(&queue.show(&waits)) > end(&waits) + TimeDelta::seconds(400));
        clock.jump(1_000);
        eventually(|| queue.show(&dead)["status"] == "expired");
        let alive = queue.show(&waits);
        assert_eq!((&alive["status"], &alive["generation"]), (&json!("queued"), &json!(1)), "{alive}");
        // A full lease begins with the turn.
        let before = queue.generation();
        queue.release(&holder);
        let mine = waiting.join().unwrap();
        assert_eq!((&mine["status"], number(&mine, "fence")), (&json!("active"), before + 1), "{mine}");
        let activated: DateTime<Utc> = mine["activated_at"].as_str().unwrap().parse().unwrap();
        assert_eq!(end(&mine) - activated, TimeDelta::seconds(600));
    });
    // While the ticket is active, only its holder renews it.
    clock.jump(2_000);
    assert_eq!(queue.wait(&queue.join(), LONG_WAIT)["status"], "active");
    assert_eq!(queue.show(&waits)["status"], "expired");
}

fn the_lease_of_a_queued_ticket_is_renewed(backend: Backend) {
    let (app, clock) = clock::start(backend, 1);
    let queue = Queue::new(&app.client());
    queue.try_join(&json!({ "lease_seconds": 9_000 })).expect(201);
    let (mine, dead) = (take(&queue, 600), take(&queue, 600));
    let put = |body: Value| queue.client.put(&queue.ticket_path(uuid(&mine)), &body).expect(200).json();
    clock.jump(500);
    let renewed = put(json!({ "generation": 1 }));
    assert_eq!((&renewed["status"], &renewed["generation"]), (&json!("queued"), &json!(2)));
    assert!(end(&renewed) >= end(&mine) + TimeDelta::seconds(500), "{renewed}");
    clock.jump(700);
    eventually(|| queue.show(&dead)["status"] == "expired");
    assert_eq!(queue.show(&mine)["status"], "queued");
    // A lease of another length runs as well; a time in its place does not move any more.
    let longer = put(json!({ "generation": 2, "lease_seconds": 2_000 }));
    assert!(end(&longer) >= end(&renewed) + TimeDelta::seconds(1_600), "{longer}");
    let until = put(json!({ "generation": 3, "expires_at": "2999-01-01T00:00:00Z" }));
    assert_eq!((&until["lease_seconds"], &until["status"]), (&Value::Null, &json!("queued")));
}

fn a_group_is_kept_alive_as_a_whole(backend: Backend) {
    let (app, clock) = clock::start(backend, 1);
    let client = app.client();
    let (a, b) = (Queue::new(&client), Queue::new(&client));
    let before = b.try_join(&json!({ "lease_seconds": 9_000 })).expect(201).json();
    let kept = json!({ "lease_seconds": 600, "lease_while_queued": true });
    let join = || groups::try_join(&client, &[&a, &b], &kept).expect(201).json();
    let (mine, dead) = (join(), join());
    let show = |group: &Value| client.get(&groups::path(group)).expect(200).json();
    let ends = |group: &Value| -> Vec<DateTime<Utc>> {
        group["tickets"].as_array().unwrap().iter().map(end).collect()
    };
    assert_eq!(mine["status"], "queued");
    clock.jump(500);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| groups::wait(&app.client(), &mine, 200));
        eventually(|| {
            let late = TimeDelta::seconds(400);
            ends(&show(&mine)).iter().zip(ends(&mine)).all(|(now, then)| *now > then + late)
        });
        clock.jump(1_000);
        eventually(|| show(&dead)["status"] == "expired");
        assert_eq!(show(&mine)["status"], "queued");
        b.release(&before);
        let now = waiting.join().unwrap();
        assert_eq!(now["status"], "active", "{now}");
        // The leases of both have begun again.
        assert!(ends(&now).iter().all(|end| *end > Utc::now() + TimeDelta::seconds(1_500)), "{now}");
    });
    client.delete(&groups::path(&mine)).expect(204);
    assert_eq!([&a, &b].map(|queue| queue.list("live")["tickets"].clone()), [json!([]), json!([])]);
}

fn a_lease_while_queued_needs_a_lease(app: TestApp) {
    let queue = Queue::new(&app.client());
    for more in [
        json!({ "expires_at": "2999-01-01T00:00:00Z", "lease_while_queued": true }),
        json!({ "lease_seconds": 60, "lease_while_queued": "yes" }),
        json!({ "lease_seconds": 60, "lease_while_queued": null }),
    ] {
        let answer = queue.try_join(&more).expect(400);
        assert!(answer.detail().contains("lease_while_queued"), "{answer}");
    }
    let untimed = json!({ "scope": "vm", "id": "one", "lease_while_queued": true });
    queue.client.post(&queue.path(), &untimed).expect(400);
    // Only a request that takes a ticket may have `lease_while_queued`.
    let ticket = take(&queue, 60);
    let renewal = json!({ "generation": 1, "lease_seconds": 60, "lease_while_queued": true });
    queue.client.put(&queue.ticket_path(uuid(&ticket)), &renewal).expect(400);
    let plain =
        queue.try_join(&json!({ "lease_seconds": 60, "lease_while_queued": false })).expect(201).json();
    assert_eq!(plain["expires_at"], Value::Null);
}

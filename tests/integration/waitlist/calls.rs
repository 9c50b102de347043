//! Each call of the Placement dialect, and what it refuses.

use serde_json::{Value, json};

use crate::support::TestApp;
use crate::waitlist::queue::{LONG_WAIT, Queue, number, uuid};

on_each_database!(tickets_are_served_in_order);
on_each_database!(a_ticket_says_what_it_was_given);
on_each_database!(only_the_owner_of_a_ticket_has_it);
on_each_database!(releasing_twice_is_no_error);
on_each_database!(a_waiter_is_answered_when_its_turn_comes);
on_each_database!(a_wait_ends_with_its_time);
on_each_database!(a_queue_may_be_joined_as_it_was_seen);
on_each_database!(a_ticket_is_renewed_at_its_generation);
on_each_database!(lists_can_be_filtered_and_paged);
on_each_database!(what_makes_no_sense_is_refused);
on_each_database!(the_waitlist_is_there_at_every_version);
on_each_database!(a_provider_with_tickets_stays);

fn tickets_are_served_in_order(app: TestApp) {
    let queue = Queue::new(&app.client());
    let tickets: Vec<Value> = (0..5).map(|_| queue.join()).collect();
    assert_eq!(tickets[0]["status"], "active", "{}", tickets[0]);
    assert_eq!(tickets[0]["fence"], 1);
    assert!(tickets[0]["expires_at"].is_string() && tickets[0]["activated_at"].is_string());
    for (place, ticket) in tickets.iter().enumerate() {
        assert_eq!(number(ticket, "ahead"), place as i64, "{ticket}");
        assert_eq!(number(ticket, "position"), place as i64 + 1, "{ticket}");
    }
    assert_eq!(tickets[4]["status"], "queued");
    assert_eq!((&tickets[4]["fence"], &tickets[4]["expires_at"]), (&Value::Null, &Value::Null));
    // One in the middle gives up.
    queue.release(&tickets[2]);
    assert_eq!(queue.show(&tickets[2])["status"], "finished");
    let mut fence = 1;
    for (before, next) in [(0, 1), (1, 3), (3, 4)] {
        let generation = queue.generation();
        queue.release(&tickets[before]);
        assert_eq!(queue.generation(), generation + 1);
        let now = queue.show(&tickets[next]);
        assert_eq!(now["status"], "active", "{now}");
        assert!(number(&now, "fence") > fence, "{now}");
        fence = number(&now, "fence");
        assert_eq!(fence, queue.generation());
    }
    queue.release(&tickets[4]);
    let list = queue.list("live");
    assert_eq!(list["tickets"], json!([]));
    assert_eq!(list["queues"][0]["active"], Value::Null);
    assert_eq!(list["queues"][0]["queued"], 0);
    // Five came and five ended.
    assert_eq!(queue.generation(), 10);
    let ended = queue.list("all");
    assert_eq!(ended["tickets"].as_array().unwrap().len(), 5);
}

fn a_ticket_says_what_it_was_given(app: TestApp) {
    let client = app.client();
    let queue = Queue { scope: "data set ☃".to_owned(), id: "a/b'\"%_ ".to_owned(), ..Queue::new(&client) };
    let extra = json!({ "z": [1, 1.5, null], "a": { "b": "☃" } });
    let body = json!({ "expires_at": "2999-01-02T03:04:05+02:00", "action": "move", "extra": extra });
    let answer = queue.try_join(&body).expect(201);
    let ticket = answer.json();
    assert!(answer.header("location").unwrap().ends_with(&queue.ticket_path(uuid(&ticket))));
    let shown = queue.show(&ticket);
    assert_eq!(shown, ticket);
    for (key, value) in [
        ("resource_provider_uuid", json!(queue.provider)),
        ("scope", json!(queue.scope)),
        ("id", json!(queue.id)),
        ("action", json!("move")),
        ("extra", extra),
        ("expires_at", json!("2999-01-02T01:04:05.000000Z")),
        ("lease_seconds", Value::Null),
        ("group", Value::Null),
        ("generation", json!(1)),
        ("user_id", json!("admin")),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    let id = answer.header("x-openstack-request-id").unwrap();
    assert_eq!(shown["request_id"], id);
    // The blank at its end makes it another queue.
    let other = Queue { id: queue.id.trim_end().to_owned(), ..queue.clone() };
    assert_eq!(other.join()["status"], "active");
    assert_eq!(queue.join()["status"], "queued");
    let upper = Queue { scope: "DATA SET ☃".to_owned(), ..queue };
    assert_eq!(upper.join()["status"], "active");
}

fn only_the_owner_of_a_ticket_has_it(app: TestApp) {
    let queue = Queue::new(&app.client());
    let ticket = queue.join();
    let other = Queue::new(&app.client());
    for uuid in [uuid(&ticket), &crate::support::uuid(), "x"] {
        let path = other.ticket_path(uuid);
        let body = json!({ "generation": 1, "lease_seconds": 1 });
        for answer in [other.client.get(&path), other.client.delete(&path), other.client.put(&path, &body)] {
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (404, "waitlist.ticket_not_found"),
                "{answer}"
            );
        }
    }
    assert_eq!(queue.show(&ticket), ticket);
}

fn releasing_twice_is_no_error(app: TestApp) {
    let queue = Queue::new(&app.client());
    let (first, second) = (queue.join(), queue.join());
    let path = queue.ticket_path(uuid(&first));
    let stale = queue.client.delete(&format!("{path}?generation=7"));
    assert!(stale.is_concurrent_update(), "{stale}");
    assert_eq!(queue.show(&first), first);
    queue.client.delete(&format!("{path}?generation=1")).expect(204);
    let generation = queue.generation();
    queue.client.delete(&format!("{path}?generation=1")).expect(204);
    queue.release(&first);
    assert_eq!(queue.generation(), generation);
    assert_eq!(queue.show(&second)["status"], "active");
    // A ticket that has ended can't be renewed.
    let renewed = queue.client.put(&path, &json!({ "generation": 2, "lease_seconds": 10 }));
    assert_eq!((renewed.status, renewed.code().as_str()), (409, "waitlist.ended"), "{renewed}");
}

fn a_waiter_is_answered_when_its_turn_comes(app: TestApp) {
    let queue = Queue::new(&app.client());
    let tickets: Vec<Value> = (0..10).map(|_| queue.join()).collect();
    assert_eq!(queue.wait(&tickets[0], 60)["status"], "active");
    std::thread::scope(|scope| {
        let waiting: Vec<_> = tickets[1..]
            .iter()
            .map(|ticket| {
                let queue = queue.with(&app.client());
                scope.spawn(move || {
                    let mine = queue.wait(ticket, LONG_WAIT);
                    assert_eq!(mine["status"], "active", "{mine}");
                    queue.release(&mine);
                    number(&mine, "fence")
                })
            })
            .collect();
        queue.release(&tickets[0]);
        let fences: Vec<i64> = waiting.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(fences.is_sorted(), "{fences:?}");
    });
    assert_eq!(queue.list("live")["tickets"], json!([]));
}

fn a_wait_ends_with_its_time(app: TestApp) {
    let queue = Queue::new(&app.client());
    let (first, second) = (queue.join(), queue.join());
    assert_eq!(queue.wait(&second, 0)["status"], "queued");
    assert_eq!(queue.wait(&second, 1)["status"], "queued");
    // A waiting client whose ticket is released is told so.
    std::thread::scope(|scope| {
        let (waiter, second) = (queue.with(&app.client()), &second);
        let waiting = scope.spawn(move || waiter.wait(second, LONG_WAIT));
        queue.release(second);
        assert_eq!(waiting.join().unwrap()["status"], "finished");
    });
    assert_eq!(queue.wait(&first, LONG_WAIT)["status"], "active");
}

fn a_queue_may_be_joined_as_it_was_seen(app: TestApp) {
    let queue = Queue::new(&app.client());
    let at = |generation: Value| queue.try_join(&json!({ "queue_generation": generation }));
    assert!(at(json!(0)).is_concurrent_update());
    assert!(at(json!(1)).is_concurrent_update());
    let first = at(Value::Null).expect(201).json();
    assert!(at(Value::Null).is_concurrent_update());
    assert!(at(json!(0)).is_concurrent_update());
    let second = at(json!(1)).expect(201).json();
    assert_eq!(queue.generation(), 2);
    queue.release(&second);
    queue.release(&first);
    assert!(at(Value::Null).is_concurrent_update());
    assert!(at(json!(2)).is_concurrent_update());
    assert_eq!(at(json!(4)).expect(201).json()["status"], "active");
    assert_eq!(queue.generation(), 5);
}

fn a_ticket_is_renewed_at_its_generation(app: TestApp) {
    let queue = Queue::new(&app.client());
    let (first, second) = (queue.join(), queue.join());
    let put = |ticket: &Value, body: Value| queue.client.put(&queue.ticket_path(uuid(ticket)), &body);
    assert!(put(&first, json!({ "generation": 2 })).is_concurrent_update());
    let renewed = put(&first, json!({ "generation": 1, "extra": { "a": 1 } })).expect(200).json();
    assert_eq!((&renewed["generation"], &renewed["extra"]), (&json!(2), &json!({ "a": 1 })));
    assert!(renewed["expires_at"].as_str() > first["expires_at"].as_str(), "{renewed}");
    let until = json!({ "generation": 2, "expires_at": "2999-01-01T00:00:00Z", "extra": null });
    let renewed = put(&first, until).expect(200).json();
    assert_eq!(renewed["expires_at"], "2999-01-01T00:00:00.000000Z");
    assert_eq!((&renewed["lease_seconds"], &renewed["extra"]), (&Value::Null, &Value::Null));
    assert_eq!(renewed["fence"], first["fence"]);
    // The lease of one that waits does not run.
    let renewed = put(&second, json!({ "generation": 1, "lease_seconds": 7 })).expect(200).json();
    assert_eq!((&renewed["lease_seconds"], &renewed["expires_at"]), (&json!(7), &Value::Null));
    queue.release(&first);
    assert!(queue.show(&second)["expires_at"].is_string());
    // A renewal is no step of the queue.
    assert_eq!(queue.generation(), 3);
}

fn lists_can_be_filtered_and_paged(app: TestApp) {
    let one = Queue::new(&app.client());
    let other = Queue { id: "two".to_owned(), ..one.clone() };
    let scoped = Queue { scope: "disk".to_owned(), ..one.clone() };
    let tickets: Vec<Value> = [&one, &one, &one, &other, &other, &scoped].map(Queue::join).to_vec();
    one.release(&tickets[0]);
    let list = |query: &str| one.client.get(&format!("{}{query}", one.path())).expect(200).json();
    let uuids = |list: &Value| -> Vec<String> {
        list["tickets"].as_array().unwrap().iter().map(|ticket| uuid(ticket).to_owned()).collect()
    };
    let wanted = |numbers: &[usize]| -> Vec<String> {
        numbers.iter().map(|number| uuid(&tickets[*number]).to_owned()).collect()
    };
    let all = list("");
    assert_eq!(uuids(&all), wanted(&[1, 2, 3, 4, 5]));
    assert_eq!(all["queues"].as_array().unwrap().len(), 3);
    assert_eq!(all["queues"][0]["active"], uuid(&tickets[1]));
    assert_eq!(all["queues"][0]["queued"], 1);
    assert_eq!(uuids(&list("?status=all")), wanted(&[0, 1, 2, 3, 4, 5]));
    assert_eq!(uuids(&list("?status=finished")), wanted(&[0]));
    assert_eq!(uuids(&list("?status=expired")), wanted(&[]));
    assert_eq!(uuids(&list("?status=active&scope=vm")), wanted(&[1, 3]));
    assert_eq!(uuids(&list("?id=one")), wanted(&[1, 2, 5]));
    assert_eq!(uuids(&list("?limit=2")), wanted(&[1, 2]));
    let next = format!("?limit=2&marker={}", uuid(&tickets[2]));
    assert_eq!(uuids(&list(&next)), wanted(&[3, 4]));
    let everywhere = one.client.get("/waitlist").expect(200).json();
    assert_eq!(uuids(&everywhere), wanted(&[1, 2, 3, 4, 5]));
    let unknown = one.client.get(&format!("{}?marker={}", one.path(), crate::support::uuid())).expect(400);
    assert!(unknown.detail().contains("marker"), "{unknown}");
    one.client.get(&format!("/resource_providers/{}/waitlist", crate::support::uuid())).expect(404);
}

fn what_makes_no_sense_is_refused(app: TestApp) {
    let queue = Queue::new(&app.client());
    let long = "x".repeat(256);
    for more in [
        json!({ "scope": "" }),
        json!({ "scope": long }),
        json!({ "id": long }),
        json!({ "action": long }),
        json!({ "extra": { "x": "x".repeat(20_000) } }),
        json!({ "extra": [] }),
        json!({ "expires_at": "soon" }),
        json!({ "expires_at": "2999-02-30T00:00:00Z" }),
        json!({ "expires_at": "2001-01-01T00:00:00Z" }),
        json!({ "expires_at": "2999-01-01T00:00:00Z", "lease_seconds": 1 }),
        json!({ "lease_seconds": 0 }),
        json!({ "lease_seconds": 1.5 }),
        json!({ "lease_seconds": 2_147_483_647 }),
        json!({ "queue_generation": -1 }),
        json!({ "queue_generation": "1" }),
        json!({ "uuid": crate::support::uuid() }),
    ] {
        let answer = queue.try_join(&more).expect(400);
        assert!(!answer.detail().is_empty(), "{answer}");
    }
    let untimed = json!({ "scope": "vm", "id": "one" });
    queue.client.post(&queue.path(), &untimed).expect(400);
    let nowhere = Queue { provider: crate::support::uuid(), ..queue.clone() };
    nowhere.try_join(&json!({})).expect(404);
    assert_eq!(queue.list("all"), json!({ "queues": [], "tickets": [] }));
    let ticket = queue.join();
    for query in ["?wait=yes", "?wait=true&timeout=-1", "?wait=true&timeout=x", "?x=1"] {
        queue.client.get(&format!("{}{query}", queue.ticket_path(uuid(&ticket)))).expect(400);
    }
    for query in ["?status=x", "?limit=0", "?limit=x", "?marker=x", "?scope=", "?x=1"] {
        queue.client.get(&format!("{}{query}", queue.path())).expect(400);
    }
    queue.client.delete(&format!("{}?generation=x", queue.ticket_path(uuid(&ticket)))).expect(400);
}

fn the_waitlist_is_there_at_every_version(app: TestApp) {
    let queue = Queue::new(&app.client());
    for version in ["1.0", "1.14", "1.15", "1.39"] {
        let queue = queue.with(&app.client().at(version));
        let answer = queue.try_join(&json!({})).expect(201);
        assert_eq!(answer.header("last-modified").is_some(), version >= "1.15", "{version}");
        queue.release(&answer.json());
    }
}

fn a_provider_with_tickets_stays(app: TestApp) {
    let queue = Queue::new(&app.client());
    let provider = format!("/resource_providers/{}", queue.provider);
    let (first, second) = (queue.join(), queue.join());
    for ticket in [&second, &first] {
        let refused = queue.client.delete(&provider);
        assert_eq!((refused.status, refused.code().as_str()), (409, "resource_provider.inuse"), "{refused}");
        assert!(refused.detail().contains("tickets"), "{refused}");
        queue.release(ticket);
    }
    let generation = queue.generation();
    queue.client.delete(&provider).expect(204);
    queue.try_join(&json!({})).expect(404);
    queue.client.get(&queue.path()).expect(404);
    // One of the same uuid goes on with the queue, so that fences keep growing.
    queue.client.post("/resource_providers", &json!({ "name": queue.provider, "uuid": queue.provider })).ok();
    assert!(number(&queue.join(), "fence") > generation);
}

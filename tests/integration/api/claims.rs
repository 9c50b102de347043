//! Claims under contention: nothing is oversold, no conflict is shown that the server can settle.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, allocations, claim, uuid};

on_each_database!(sixty_four_clients_fill_a_provider);
on_each_database!(amounts_that_differ_fill_a_provider_without_overselling);
on_each_database!(claims_over_providers_in_opposite_order_all_succeed);
on_each_database!(a_consumer_of_many_writers_without_generations_sees_no_conflict);
on_each_database!(swaps_of_two_consumers_in_opposite_order_all_succeed);

fn sixty_four_clients_fill_a_provider(app: TestApp) {
    let (clients, capacity) = (64, 1_000);
    let provider = app.client().new_stocked_provider(&[("VCPU", capacity)]);
    let before = app.client().generation(&provider);
    let succeeded = AtomicUsize::new(0);
    let full = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let client = app.client();
                // Until it is full: every client is refused once.
                while claim_one(&client, &provider) {
                    succeeded.fetch_add(1, Ordering::Relaxed);
                }
                full.store(true, Ordering::Relaxed);
            });
        }
        scope.spawn(|| watch_usage(&app.client(), &provider, capacity.into(), &full));
    });
    let client = app.client();
    assert_eq!(succeeded.into_inner(), 1_000);
    assert_eq!(client.usages(&provider), json!({ "VCPU": 1_000 }));
    // A claim that is refused changes nothing.
    assert_eq!(client.generation(&provider), before + 1_000);
    assert_eq!(app.database.count("SELECT COUNT(*) AS n FROM allocations"), 1_000);
    assert_eq!(app.database.count("SELECT COUNT(*) AS n FROM consumers"), 1_000);
}

/// Claims one VCPU for a new consumer; `false` if there is no room.
fn claim_one(client: &Client, provider: &str) -> bool {
    let answer = client.claim_one(provider);
    if answer.status == 204 {
        return true;
    }
    assert_no_room(&answer);
    false
}

#[track_caller]
fn assert_no_room(answer: &Answer) {
    assert_eq!((answer.status, answer.code().as_str()), (409, "undefined_code"), "{answer}");
    assert!(answer.detail().contains("would exceed the capacity"), "{answer}");
}

/// Reads a provider's usage all the time until it is said to be full.
fn watch_usage(client: &Client, provider: &str, capacity: i64, full: &AtomicBool) {
    while !full.load(Ordering::Relaxed) {
        let used = client.usages(provider)["VCPU"].as_i64().unwrap();
        assert!((0..=capacity).contains(&used), "{used}");
    }
}

/// Each third of a host, from several at once: upstream lets more than three through now and then.
fn amounts_that_differ_fill_a_provider_without_overselling(app: TestApp) {
    let providers: Vec<String> =
        (0..4).map(|_| app.client().new_stocked_provider(&[("VCPU", 100), ("MEMORY_MB", 100)])).collect();
    thread::scope(|scope| {
        for thread in 0..12_i64 {
            let (app, providers) = (&app, &providers);
            scope.spawn(move || {
                let client = app.client();
                for round in 0..6 {
                    for provider in providers {
                        let (vcpu, memory) = (20 + (thread + round) % 20, 5 + (thread * round) % 40);
                        let wanted = json!({
                            provider: { "resources": { "VCPU": vcpu, "MEMORY_MB": memory } }
                        });
                        let path = format!("/allocations/{}", uuid());
                        let answer = client.put(&path, &claim(wanted, Value::Null));
                        if answer.status != 204 {
                            assert_no_room(&answer);
                        }
                    }
                }
            });
        }
    });
    let client = app.client();
    for provider in &providers {
        let usages = client.usages(provider);
        // The smallest claims no longer fit, the largest would have: something was let in.
        for class in ["VCPU", "MEMORY_MB"] {
            let used = usages[class].as_i64().unwrap();
            assert!((1..=100).contains(&used), "{class}: {used}");
        }
        assert_eq!(usages, sum_of_allocations(&client, provider));
    }
}

/// Adds up the allocations from a provider, by class.
fn sum_of_allocations(client: &Client, provider: &str) -> Value {
    let listed = client.get(&format!("/resource_providers/{provider}/allocations")).ok();
    let mut sums = json!({});
    for allocation in listed["allocations"].as_object().unwrap().values() {
        for (class, amount) in allocation["resources"].as_object().unwrap() {
            sums[class] = (sums[class].as_i64().unwrap_or(0) + amount.as_i64().unwrap()).into();
        }
    }
    sums
}

fn claims_over_providers_in_opposite_order_all_succeed(app: TestApp) {
    let (clients, rounds) = (16, 10);
    let providers: Vec<String> =
        (0..6).map(|_| app.client().new_stocked_provider(&[("VCPU", 100_000)])).collect();
    thread::scope(|scope| {
        for number in 0..clients {
            let (app, mut order) = (&app, providers.clone());
            if number % 2 == 1 {
                order.reverse();
            }
            scope.spawn(move || {
                let client = app.client();
                for round in 0..rounds {
                    claim_in_order(&client, &order, round % 2 == 0);
                }
            });
        }
    });
    let client = app.client();
    for provider in &providers {
        // Each round claims one by itself, or the two of a pair one each.
        let expected = clients * rounds / 2 * 3;
        assert_eq!(client.usages(provider), json!({ "VCPU": expected }));
        assert_eq!(sum_of_allocations(&client, provider), json!({ "VCPU": expected }));
    }
}

/// Claims one VCPU of each provider: for one new consumer in the order given, or for two in one
/// request, the second in the opposite order.
fn claim_in_order(client: &Client, providers: &[String], single: bool) {
    let each = |providers: &mut dyn Iterator<Item = &String>| -> Value {
        providers.map(|provider| (provider.clone(), json!({ "resources": { "VCPU": 1 } }))).collect()
    };
    let forwards = claim(each(&mut providers.iter()), Value::Null);
    if single {
        client.put(&format!("/allocations/{}", uuid()), &forwards).expect(204);
    } else {
        let backwards = claim(each(&mut providers.iter().rev()), Value::Null);
        client.post("/allocations", &json!({ uuid(): forwards, uuid(): backwards })).expect(204);
    }
}

/// Before 1.28 a consumer's generation is not stated, so a conflict over it is for the server.
fn a_consumer_of_many_writers_without_generations_sees_no_conflict(app: TestApp) {
    let providers: Vec<String> = (0..3).map(|_| app.client().new_stocked_provider(&[("VCPU", 10)])).collect();
    let consumer = uuid();
    thread::scope(|scope| {
        for number in 0..16 {
            let (app, path, provider) = (&app, format!("/allocations/{consumer}"), &providers[number % 3]);
            scope.spawn(move || {
                let client = app.client().at("1.27");
                for round in 0..10 {
                    if (number + round) % 5 == 0 {
                        let status = client.delete(&path).status;
                        assert!([204, 404].contains(&status), "{status}");
                    } else {
                        let body = json!({
                            "allocations": allocations(provider, "VCPU", 1 + round as i64),
                            "project_id": format!("project {number}"),
                            "user_id": "user",
                        });
                        client.put(&path, &body).expect(204);
                    }
                }
            });
        }
    });
    // The last writer's allocations are there, whoever it was, and nobody else's.
    let held = app.client().get(&format!("/allocations/{consumer}")).ok();
    let held = held["allocations"].as_object().unwrap();
    assert!(held.len() <= 1, "{held:?}");
    let used: i64 = providers.iter().map(|p| app.client().usages(p)["VCPU"].as_i64().unwrap()).sum();
    let expected: i64 = held.values().map(|h| h["resources"]["VCPU"].as_i64().unwrap()).sum();
    assert_eq!(used, expected);
}

/// A migration: two consumers exchange their hosts in one request, each by several clients at once.
fn swaps_of_two_consumers_in_opposite_order_all_succeed(app: TestApp) {
    let client = app.client();
    let (left, right) =
        (client.new_stocked_provider(&[("VCPU", 4)]), client.new_stocked_provider(&[("VCPU", 4)]));
    let pairs: Vec<(String, String)> = (0..4).map(|_| (uuid(), uuid())).collect();
    let place = |on_left: &str, on_right: &str| {
        let body = |provider: &str| {
            json!({
                "allocations": allocations(provider, "VCPU", 1),
                "project_id": "project",
                "user_id": "user",
            })
        };
        json!({ on_left: body(&left), on_right: body(&right) })
    };
    for (a, b) in &pairs {
        client.at("1.27").post("/allocations", &place(a, b)).expect(204);
    }
    thread::scope(|scope| {
        for number in 0..8 {
            let (app, pairs, place) = (&app, &pairs, &place);
            scope.spawn(move || {
                let client = app.client().at("1.27");
                for round in 0..8 {
                    let (a, b) = &pairs[(number + round) % pairs.len()];
                    let body = if (number + round) % 2 == 0 { place(a, b) } else { place(b, a) };
                    client.post("/allocations", &body).expect(204);
                }
            });
        }
    });
    // Both are full all the time, so that each swap only fits as a whole.
    for provider in [&left, &right] {
        assert_eq!(client.usages(provider), json!({ "VCPU": 4 }));
        assert_eq!(sum_of_allocations(&client, provider), json!({ "VCPU": 4 }));
    }
}

//! A class, a trait or a provider is deleted while another request uses it: either it stays, or nothing
//! refers to it.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::{Client, TestApp, allocations, claim, inventory, uuid};

on_each_database!(a_class_is_not_deleted_under_an_inventory);
on_each_database!(a_trait_is_not_deleted_under_a_provider);
on_each_database!(a_provider_is_not_deleted_under_what_it_gets);
on_each_database!(an_id_that_rows_still_name_is_given_to_no_class);

const ROUNDS: usize = 150;

/// Counts of rows that refer to a missing row.
const STRAYS: &[&str] = &[
    "SELECT COUNT(*) AS n FROM inventories WHERE resource_class_id NOT IN (SELECT id FROM resource_classes)",
    "SELECT COUNT(*) AS n FROM allocations WHERE resource_class_id NOT IN (SELECT id FROM resource_classes)",
    "SELECT COUNT(*) AS n FROM resource_provider_traits WHERE trait_id NOT IN (SELECT id FROM traits)",
    "SELECT COUNT(*) AS n FROM inventories WHERE resource_provider_id NOT IN (SELECT id FROM resource_providers)",
    "SELECT COUNT(*) AS n FROM allocations WHERE resource_provider_id NOT IN (SELECT id FROM resource_providers)",
    "SELECT COUNT(*) AS n FROM resource_provider_aggregates WHERE resource_provider_id NOT IN (SELECT id FROM resource_providers)",
    "SELECT COUNT(*) AS n FROM resource_provider_traits WHERE resource_provider_id NOT IN (SELECT id FROM resource_providers)",
    "SELECT COUNT(*) AS n FROM consumers WHERE uuid NOT IN (SELECT consumer_id FROM allocations)",
];

#[track_caller]
fn assert_no_strays(app: &TestApp) {
    for sql in STRAYS {
        assert_eq!(app.database.count(sql), 0, "{sql}");
    }
}

/// Runs two things at the same moment, a number of times, and returns how often each was answered with
/// success.
fn at_once(
    app: &TestApp,
    rounds: usize,
    prepare: impl Fn(&Client, usize) -> String,
    one: impl Fn(&Client, &str, usize) -> u16 + Sync,
    other: impl Fn(&Client, &str, usize) -> u16 + Sync,
) -> (u32, u32) {
    let (client, wins) = (app.client(), [AtomicU32::new(0), AtomicU32::new(0)]);
    let clients = [app.client(), app.client()];
    for round in 0..rounds {
        let thing = prepare(&client, round);
        let start = Barrier::new(2);
        thread::scope(|scope| {
            for side in 0..2 {
                let (start, thing, client, wins) = (&start, &thing, &clients[side], &wins[side]);
                let (one, other) = (&one, &other);
                scope.spawn(move || {
                    start.wait();
                    let status =
                        if side == 0 { one(client, thing, round) } else { other(client, thing, round) };
                    assert!(status < 500, "{status}");
                    wins.fetch_add(u32::from(status < 300), Ordering::Relaxed);
                });
            }
        });
    }
    (wins[0].load(Ordering::Relaxed), wins[1].load(Ordering::Relaxed))
}

/// The ways in which a provider, which has this generation, gets an inventory of a class.
fn stock(client: &Client, provider: &str, generation: i64, class: &str, way: usize) -> u16 {
    let all = json!({ "resource_provider_generation": generation, "inventories": { class: inventory(5) } });
    let path = format!("/resource_providers/{provider}/inventories");
    match way {
        0 => client.put(&path, &all).status,
        1 => {
            let mut body = inventory(5);
            body["resource_class"] = class.into();
            client.post(&path, &body).status
        }
        _ => client.post("/reshaper", &json!({ "inventories": { provider: all }, "allocations": {} })).status,
    }
}

fn a_class_is_not_deleted_under_an_inventory(app: TestApp) {
    let provider = app.client().new_provider();
    let (stocked, deleted) = at_once(
        &app,
        ROUNDS,
        |client, round| {
            let path = format!("/resource_providers/{provider}/inventories");
            client.delete(&path).expect(204);
            let class = format!("/resource_classes/CUSTOM_R{round}");
            client.put(&class, &Value::Null).expect(201);
            class
        },
        |client, class, round| {
            let class = class.trim_start_matches("/resource_classes/");
            stock(client, &provider, client.generation(&provider), class, round % 3)
        },
        |client, class, _| client.delete(class).status,
    );
    assert_no_strays(&app);
    // Either the provider got the class or the deletion succeeded.
    assert_eq!(stocked + deleted, u32::try_from(ROUNDS).unwrap(), "{stocked} and {deleted}");
}

fn a_trait_is_not_deleted_under_a_provider(app: TestApp) {
    let provider = app.client().new_provider();
    let (given, deleted) = at_once(
        &app,
        ROUNDS,
        |client, round| {
            client.delete(&format!("/resource_providers/{provider}/traits")).expect(204);
            let path = format!("/traits/CUSTOM_R{round}");
            client.put(&path, &Value::Null).expect(201);
            path
        },
        |client, path, _| {
            let generation = client.generation(&provider);
            let name = path.trim_start_matches("/traits/");
            let body = json!({ "resource_provider_generation": generation, "traits": [name] });
            client.put(&format!("/resource_providers/{provider}/traits"), &body).status
        },
        |client, path, _| client.delete(path).status,
    );
    assert_no_strays(&app);
    assert_eq!(given + deleted, u32::try_from(ROUNDS).unwrap(), "{given} and {deleted}");
}

fn a_provider_is_not_deleted_under_what_it_gets(app: TestApp) {
    at_once(
        &app,
        ROUNDS,
        |client, _| format!("/resource_providers/{}", client.new_stocked_provider(&[("VCPU", 5)])),
        |client, path, round| {
            let provider = path.trim_start_matches("/resource_providers/");
            let traits = json!({ "resource_provider_generation": 1, "traits": ["HW_CPU_X86_VMX"] });
            let aggregates = json!({ "resource_provider_generation": 1, "aggregates": [uuid()] });
            match round % 6 {
                0 => stock(client, provider, 1, "DISK_GB", 1),
                1 => client.put(&format!("{path}/traits"), &traits).status,
                2 => client.put(&format!("{path}/aggregates"), &aggregates).status,
                3 => client.at("1.18").put(&format!("{path}/aggregates"), &json!([uuid()])).status,
                4 => client.claim_one(provider).status,
                _ => {
                    let body = || claim(allocations(provider, "VCPU", 1), Value::Null);
                    client.post("/allocations", &json!({ uuid(): body(), uuid(): body() })).status
                }
            }
        },
        |client, path, _| client.delete(path).status,
    );
    assert_no_strays(&app);
}

/// Other servers may have left rows whose class is gone.
fn an_id_that_rows_still_name_is_given_to_no_class(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 5)]);
    client.put("/resource_classes/CUSTOM_A", &Value::Null).expect(201);
    let row = |id: i32| {
        format!(
            "INSERT INTO inventories (resource_provider_id, resource_class_id, total, reserved, min_unit, \
             max_unit, step_size, allocation_ratio) \
             SELECT id, {id}, 7, 0, 1, 7, 1, 1.0 FROM resource_providers"
        )
    };
    let has_id = |id: i32| {
        let sql = "SELECT COUNT(*) AS n FROM resource_classes WHERE name = 'CUSTOM_B' AND id";
        app.database.count(&format!("{sql} = {id}")) == 1
    };
    app.database.execute(&row(10_007));
    client.put("/resource_classes/CUSTOM_B", &Value::Null).expect(201);
    assert!(has_id(10_008));
    client.delete("/resource_classes/CUSTOM_B").expect(204);
    app.database.execute(
        "INSERT INTO allocations (resource_provider_id, consumer_id, resource_class_id, used) \
         SELECT id, 'b8a1ed2d-3f2c-4f3c-b2f4-29d2b0d6c1a5', 10011, 1 FROM resource_providers",
    );
    client.put("/resource_classes/CUSTOM_B", &Value::Null).expect(201);
    assert!(has_id(10_012));
    let shown = client.get(&format!("/resource_providers/{provider}/inventories")).ok();
    assert!(shown["inventories"]["CUSTOM_B"].is_null(), "{shown}");
}

//! `/allocations`, of one consumer and of several, and `/resource_providers/{uuid}/allocations`.

use serde_json::{Value, json};

use crate::support::{Answer, Backend, Client, TestApp, allocations, claim, uuid};

on_each_database!(a_claim_is_written_and_shown);
on_each_database!(the_body_changes_with_the_versions);
on_each_database!(nobody_may_have_other_ids: Backend);
on_each_database!(generations_of_consumers_count_from_1_28_on);
on_each_database!(consumers_have_types_from_1_38_on);
on_each_database!(no_allocations_end_a_consumer);
on_each_database!(claims_that_do_not_fit_are_refused);
on_each_database!(amounts_keep_to_the_inventory);
on_each_database!(unknown_names_are_told);
on_each_database!(a_refused_claim_leaves_no_consumer);
on_each_database!(several_consumers_are_written_at_once);
on_each_database!(of_several_claims_all_or_none_are_written);
on_each_database!(a_provider_shows_its_consumers);

fn path(consumer: &str) -> String {
    format!("/allocations/{consumer}")
}

fn vcpus(provider: &str, amount: i64, generation: impl Into<Value>) -> Value {
    claim(allocations(provider, "VCPU", amount), generation)
}

/// Claims, and returns what is said of it.
fn put(client: &Client, consumer: &str, body: &Value) -> Answer {
    client.put(&path(consumer), body)
}

/// A body without the keys that older versions do not know.
fn without(mut body: Value, keys: &[&str]) -> Value {
    body.as_object_mut().unwrap().retain(|key, _| !keys.contains(&key.as_str()));
    body
}

fn a_claim_is_written_and_shown(app: TestApp) {
    let (client, consumer) = (app.client(), uuid());
    let provider = client.new_stocked_provider(&[("VCPU", 8), ("DISK_GB", 100)]);
    // A consumer that does not exist holds nothing.
    assert_eq!(client.get(&path(&consumer)).ok(), json!({ "allocations": {} }));
    let both = json!({ &provider: { "resources": { "VCPU": 2, "DISK_GB": 10 } } });
    let written = put(&client, &consumer, &claim(both, Value::Null)).expect(204);
    assert!(written.body.is_empty() && written.header("content-type").is_none(), "{written}");
    let held = json!({ &provider: { "generation": 2, "resources": { "VCPU": 2, "DISK_GB": 10 } } });
    let expected = json!({
        "allocations": held, "project_id": "project", "user_id": "user", "consumer_generation": 1,
        "consumer_type": "INSTANCE",
    });
    assert_eq!(client.get(&path(&consumer)).ok(), expected);
    // A second claim takes the place of the first.
    put(&client, &consumer, &vcpus(&provider, 8, 1)).expect(204);
    assert_eq!(client.usages(&provider), json!({ "VCPU": 8, "DISK_GB": 0 }));
    assert_eq!(client.get(&path(&consumer)).ok()["consumer_generation"], 2);
}

fn the_body_changes_with_the_versions(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 80)]);
    let list = json!([{ "resource_provider": { "uuid": provider }, "resources": { "VCPU": 1 } }]);
    let newest = vcpus(&provider, 1, Value::Null);
    let named = json!({ "project_id": "project", "user_id": "user" });
    let with_list = |extra: &Value| {
        let mut body = json!({ "allocations": list });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let bodies = [
        (json!({ "allocations": list }), 0..8),
        (with_list(&named), 8..12),
        (without(newest.clone(), &["consumer_generation", "consumer_type"]), 12..28),
        (without(newest.clone(), &["consumer_type"]), 28..38),
        (newest, 38..40),
    ];
    for version in [0, 7, 8, 11, 12, 27, 28, 37, 38, 39] {
        let at = client.at(&format!("1.{version}"));
        for (body, versions) in &bodies {
            let status = if versions.contains(&version) { 204 } else { 400 };
            put(&at, &uuid(), body).expect(status);
        }
    }
    // Before projects and users were told, nobody is both.
    let consumer = uuid();
    put(&client.at("1.7"), &consumer, &bodies[0].0).expect(204);
    let shown = client.get(&path(&consumer)).ok();
    let nobody = json!("00000000-0000-0000-0000-000000000000");
    assert_eq!((&shown["project_id"], &shown["user_id"]), (&nobody, &nobody));
    assert_eq!(shown["consumer_type"], "unknown");
    for (version, keys) in [("1.11", 1), ("1.12", 3), ("1.27", 3), ("1.28", 4), ("1.37", 4), ("1.38", 5)] {
        let shown = client.at(version).get(&path(&consumer)).ok();
        assert_eq!(shown.as_object().unwrap().len(), keys, "{version}: {shown}");
    }
}

fn nobody_may_have_other_ids(backend: Backend) {
    let app = TestApp::start_with(backend, |settings| {
        settings.placement.incomplete_consumer_project_id = "no project".to_owned();
        settings.placement.incomplete_consumer_user_id = "no user".to_owned();
    });
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 80)]);
    let list = json!([{ "resource_provider": { "uuid": provider }, "resources": { "VCPU": 1 } }]);
    let consumer = uuid();
    put(&client.at("1.7"), &consumer, &json!({ "allocations": list })).expect(204);
    let shown = client.get(&path(&consumer)).ok();
    assert_eq!((&shown["project_id"], &shown["user_id"]), (&json!("no project"), &json!("no user")));
}

fn generations_of_consumers_count_from_1_28_on(app: TestApp) {
    let (client, consumer) = (app.client(), uuid());
    let provider = client.new_stocked_provider(&[("VCPU", 8)]);
    let early = put(&client, &consumer, &vcpus(&provider, 1, 3));
    assert!(early.is_concurrent_update(), "{early}");
    assert!(early.detail().contains("consumer generation conflict - expected"), "{early}");
    put(&client, &consumer, &vcpus(&provider, 1, Value::Null)).expect(204);
    for stale in [Value::Null, json!(0), json!(2)] {
        let refused = put(&client, &consumer, &vcpus(&provider, 2, stale));
        assert!(refused.is_concurrent_update(), "{refused}");
        assert!(refused.detail().contains("consumer generation conflict - expected"), "{refused}");
    }
    assert_eq!(client.usages(&provider)["VCPU"], 1);
    let old = without(vcpus(&provider, 3, 7), &["consumer_generation", "consumer_type"]);
    put(&client.at("1.27"), &consumer, &old).expect(204);
    assert_eq!(client.usages(&provider)["VCPU"], 3);
    put(&client, &consumer, &vcpus(&provider, 4, 2)).expect(204);
}

fn consumers_have_types_from_1_38_on(app: TestApp) {
    let (client, consumer) = (app.client(), uuid());
    let provider = client.new_stocked_provider(&[("VCPU", 8)]);
    let typed = |kind: Value, generation: Value| {
        let mut body = vcpus(&provider, 1, generation);
        body["consumer_type"] = kind;
        body
    };
    for kind in [json!("instance"), json!("A-B"), json!(""), json!(1), Value::Null] {
        put(&client, &consumer, &typed(kind, Value::Null)).expect(400);
    }
    put(&client, &consumer, &typed(json!("MIGRATION"), Value::Null)).expect(204);
    assert_eq!(client.get(&path(&consumer)).ok()["consumer_type"], "MIGRATION");
    put(&client, &consumer, &typed(json!("INSTANCE"), json!(1))).expect(204);
    assert_eq!(client.get(&path(&consumer)).ok()["consumer_type"], "INSTANCE");
    // Older clients do not change it.
    put(&client.at("1.37"), &consumer, &without(vcpus(&provider, 2, 2), &["consumer_type"])).expect(204);
    assert_eq!(client.get(&path(&consumer)).ok()["consumer_type"], "INSTANCE");
}

fn no_allocations_end_a_consumer(app: TestApp) {
    let (client, consumer) = (app.client(), uuid());
    let provider = client.new_stocked_provider(&[("VCPU", 8)]);
    put(&client, &consumer, &vcpus(&provider, 1, Value::Null)).expect(204);
    put(&client, &consumer, &claim(json!({}), 1)).expect(204);
    assert_eq!(client.get(&path(&consumer)).ok(), json!({ "allocations": {} }));
    let old = without(claim(json!({}), 1), &["consumer_generation", "consumer_type"]);
    put(&client.at("1.27"), &consumer, &old).expect(400);
    // A consumer of the same uuid begins anew.
    put(&client, &consumer, &vcpus(&provider, 1, Value::Null)).expect(204);
    client.delete(&path(&consumer)).expect(204);
    assert_eq!(client.usages(&provider)["VCPU"], 0);
    let gone = client.delete(&path(&consumer)).expect(404);
    assert!(gone.detail().contains(&format!("No allocations for consumer '{consumer}'")), "{gone}");
}

fn claims_that_do_not_fit_are_refused(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 8)]);
    put(&client, &uuid(), &vcpus(&provider, 6, Value::Null)).expect(204);
    let over = put(&client, &uuid(), &vcpus(&provider, 3, Value::Null)).expect(409);
    assert!(over.detail().contains("The requested amount would exceed the capacity."), "{over}");
    // It is no conflict that a second try would settle.
    assert_eq!(over.code(), "undefined_code");
    put(&client, &uuid(), &vcpus(&provider, 2, Value::Null)).expect(204);
    assert_eq!(client.usages(&provider)["VCPU"], 8);
    let none = put(&client, &uuid(), &claim(allocations(&provider, "DISK_GB", 1), Value::Null)).expect(409);
    assert!(none.detail().contains("Inventory for 'DISK_GB' on resource provider"), "{none}");
}

fn amounts_keep_to_the_inventory(app: TestApp) {
    let (client, provider) = (app.client(), app.client().new_provider());
    let disk = json!({
        "total": 100, "reserved": 20, "min_unit": 10, "max_unit": 60, "step_size": 10, "allocation_ratio": 1.5,
    });
    let body = json!({ "resource_provider_generation": 0, "inventories": { "DISK_GB": disk } });
    client.put(&format!("/resource_providers/{provider}/inventories"), &body).expect(200);
    let disks = |amount: i64| claim(allocations(&provider, "DISK_GB", amount), Value::Null);
    for amount in [5, 15, 70] {
        let refused = put(&client, &uuid(), &disks(amount)).expect(409);
        assert!(refused.detail().contains("would violate inventory constraints"), "{refused}");
    }
    for amount in [0, -10] {
        put(&client, &uuid(), &disks(amount)).expect(400);
    }
    // (100 - 20) * 1.5 = 120
    put(&client, &uuid(), &disks(60)).expect(204);
    put(&client, &uuid(), &disks(50)).expect(204);
    put(&client, &uuid(), &disks(20)).expect(409);
    put(&client, &uuid(), &disks(10)).expect(204);
}

fn unknown_names_are_told(app: TestApp) {
    let (client, consumer) = (app.client(), uuid());
    let provider = client.new_stocked_provider(&[("VCPU", 8)]);
    let missing = uuid();
    let answer = put(&client, &consumer, &vcpus(&missing, 1, Value::Null)).expect(400);
    let words = format!("Allocation for resource provider '{missing}' that does not exist.");
    assert!(answer.detail().contains(&words), "{answer}");
    let class = claim(allocations(&provider, "CUSTOM_NONE", 1), Value::Null);
    let answer = put(&client, &consumer, &class).expect(400);
    assert!(answer.detail().contains("No such resource class CUSTOM_NONE."), "{answer}");
    let answer = put(&client, "consumer", &vcpus(&provider, 1, Value::Null)).expect(400);
    assert!(answer.detail().contains("Malformed consumer_uuid: consumer"), "{answer}");
}

fn a_refused_claim_leaves_no_consumer(app: TestApp) {
    let (client, consumer) = (app.client(), uuid());
    let provider = client.new_stocked_provider(&[("VCPU", 8)]);
    put(&client, &consumer, &vcpus(&provider, 9, Value::Null)).expect(409);
    put(&client, &consumer, &vcpus(&uuid(), 1, Value::Null)).expect(400);
    put(&client, &consumer, &claim(json!({}), Value::Null)).expect(204);
    assert_eq!(app.database.count("SELECT COUNT(*) AS n FROM consumers"), 0);
    put(&client, &consumer, &vcpus(&provider, 1, Value::Null)).expect(204);
}

fn several_consumers_are_written_at_once(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 8)]);
    let (one, other) = (uuid(), uuid());
    put(&client, &one, &vcpus(&provider, 8, Value::Null)).expect(204);
    // One consumer gives up its allocations, and the other consumer gets the same resources.
    let moved = json!({ &one: claim(json!({}), 1), &other: vcpus(&provider, 8, Value::Null) });
    client.post("/allocations", &moved).expect(204);
    assert_eq!(client.get(&path(&one)).ok(), json!({ "allocations": {} }));
    assert_eq!(client.get(&path(&other)).ok()["allocations"][&provider]["resources"], json!({ "VCPU": 8 }));
    let old = json!({ &one: without(claim(json!({}), 1), &["consumer_generation", "consumer_type"]) });
    client.at("1.12").post("/allocations", &old).expect(404);
    client.at("1.13").post("/allocations", &old).expect(204);
    client.post("/allocations", &json!({})).expect(400);
}

fn of_several_claims_all_or_none_are_written(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 8)]);
    let both = |a: Value, b: Value| client.post("/allocations", &json!({ uuid(): a, uuid(): b }));
    let over = both(vcpus(&provider, 4, Value::Null), vcpus(&provider, 5, Value::Null)).expect(409);
    assert!(over.detail().contains("would exceed the capacity"), "{over}");
    let stale = both(vcpus(&provider, 1, Value::Null), vcpus(&provider, 1, 1));
    assert!(stale.is_concurrent_update(), "{stale}");
    both(vcpus(&provider, 1, Value::Null), vcpus(&uuid(), 1, Value::Null)).expect(400);
    assert_eq!(client.usages(&provider)["VCPU"], 0);
    both(vcpus(&provider, 4, Value::Null), vcpus(&provider, 4, Value::Null)).expect(204);
    assert_eq!(client.usages(&provider)["VCPU"], 8);
}

fn a_provider_shows_its_consumers(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 8)]);
    let list = format!("/resource_providers/{provider}/allocations");
    let none = json!({ "allocations": {}, "resource_provider_generation": 1 });
    assert_eq!(client.get(&list).ok(), none);
    let (one, other) = (uuid(), uuid());
    put(&client, &one, &vcpus(&provider, 1, Value::Null)).expect(204);
    put(&client, &other, &vcpus(&provider, 2, Value::Null)).expect(204);
    let held = |amount: i64| json!({ "resources": { "VCPU": amount }, "consumer_generation": 1 });
    let expected = json!({
        "allocations": { &one: held(1), &other: held(2) }, "resource_provider_generation": 3,
    });
    assert_eq!(client.get(&list).ok(), expected);
    let old = client.at("1.27").get(&list).ok();
    assert_eq!(old["allocations"][&one], json!({ "resources": { "VCPU": 1 } }));
    let unknown = client.get(&format!("/resource_providers/{}/allocations", uuid())).expect(404);
    assert!(unknown.detail().contains("No resource provider with uuid"), "{unknown}");
}

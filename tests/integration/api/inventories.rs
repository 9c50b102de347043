//! `/resource_providers/{uuid}/inventories` and each inventory below it.

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, allocations, claim, inventory, uuid};

on_each_database!(an_inventory_is_made_with_its_defaults);
on_each_database!(all_inventories_are_replaced);
on_each_database!(one_inventory_is_changed);
on_each_database!(a_stale_generation_changes_nothing);
on_each_database!(each_write_is_a_step_of_the_generation);
on_each_database!(bad_amounts_are_refused);
on_each_database!(all_may_be_reserved_from_1_26_on);
on_each_database!(unknown_classes_and_providers_are_told);
on_each_database!(an_inventory_in_use_stays);
on_each_database!(all_are_deleted_from_1_5_on);
on_each_database!(answers_have_a_date_from_1_15_on);

fn path(provider: &str) -> String {
    format!("/resource_providers/{provider}/inventories")
}

fn put(client: &Client, provider: &str, generation: i64, inventories: Value) -> Answer {
    let body = json!({ "resource_provider_generation": generation, "inventories": inventories });
    client.put(&path(provider), &body)
}

fn put_one(client: &Client, provider: &str, class: &str, generation: i64, total: i64) -> Answer {
    let body = json!({ "resource_provider_generation": generation, "total": total });
    client.put(&format!("{}/{class}", path(provider)), &body)
}

fn post(client: &Client, provider: &str, class: &str, total: i64) -> Answer {
    client.post(&path(provider), &json!({ "resource_class": class, "total": total }))
}

/// An inventory as it is shown, with a total and otherwise defaults.
fn shown(total: i64) -> Value {
    json!({
        "total": total, "reserved": 0, "min_unit": 1, "max_unit": 2_147_483_647, "step_size": 1,
        "allocation_ratio": 1.0,
    })
}

fn an_inventory_is_made_with_its_defaults(app: TestApp) {
    let (client, provider) = (app.client(), app.client().new_provider());
    let none = client.get(&path(&provider)).ok();
    assert_eq!(none, json!({ "resource_provider_generation": 0, "inventories": {} }));
    let made = post(&client, &provider, "VCPU", 4).expect(201);
    assert!(made.header("location").unwrap().ends_with(&format!("{}/VCPU", path(&provider))), "{made}");
    let mut expected = shown(4);
    expected["resource_provider_generation"] = 1.into();
    assert_eq!(made.json(), expected);
    assert_eq!(client.get(&format!("{}/VCPU", path(&provider))).ok(), expected);
    let again = post(&client, &provider, "VCPU", 4);
    assert!(again.is_concurrent_update() && again.detail().contains("Update conflict: "), "{again}");
}

fn all_inventories_are_replaced(app: TestApp) {
    let (client, provider) = (app.client(), app.client().new_provider());
    let disk = json!({
        "total": 100, "reserved": 10, "min_unit": 5, "max_unit": 50, "step_size": 5, "allocation_ratio": 1.5,
    });
    let list = json!({ "DISK_GB": disk, "VCPU": inventory(4) });
    let set = put(&client, &provider, 0, list).expect(200).json();
    let expected = json!({
        "resource_provider_generation": 1,
        "inventories": { "DISK_GB": disk, "VCPU": shown(4) },
    });
    assert_eq!(set, expected);
    assert_eq!(client.get(&path(&provider)).ok(), expected);
    put(&client, &provider, 1, json!({ "VCPU": inventory(5) })).expect(200);
    let list = client.get(&path(&provider)).ok();
    assert_eq!(list["inventories"], json!({ "VCPU": shown(5) }));
    put(&client, &provider, 2, json!({})).expect(200);
    assert_eq!(client.get(&path(&provider)).ok()["inventories"], json!({}));
}

fn one_inventory_is_changed(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 4), ("DISK_GB", 10)]);
    let changed = put_one(&client, &provider, "VCPU", 1, 8).expect(200).json();
    assert_eq!((&changed["total"], &changed["resource_provider_generation"]), (&json!(8), &json!(2)));
    assert_eq!(client.get(&format!("{}/VCPU", path(&provider))).ok(), changed);
    assert_eq!(client.get(&format!("{}/DISK_GB", path(&provider))).ok()["total"], 10);
    let none = put_one(&client, &provider, "MEMORY_MB", 2, 8).expect(400);
    assert!(none.detail().contains("No inventory record with resource class"), "{none}");
}

fn a_stale_generation_changes_nothing(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 4)]);
    for stale in [put(&client, &provider, 0, json!({})), put_one(&client, &provider, "VCPU", 0, 8)] {
        assert!(stale.is_concurrent_update(), "{stale}");
        assert!(stale.detail().contains("resource provider generation conflict"), "{stale}");
    }
    for body in [json!({ "inventories": {} }), json!({ "total": 4 })] {
        client.put(&path(&provider), &body).expect(400);
        client.put(&format!("{}/VCPU", path(&provider)), &body).expect(400);
    }
    assert_eq!(client.get(&path(&provider)).ok()["inventories"], json!({ "VCPU": shown(4) }));
    assert_eq!(client.generation(&provider), 1);
}

fn each_write_is_a_step_of_the_generation(app: TestApp) {
    let (client, provider) = (app.client(), app.client().new_provider());
    post(&client, &provider, "VCPU", 4).expect(201);
    // A write that changes nothing counts too.
    put_one(&client, &provider, "VCPU", 1, 4).expect(200);
    put(&client, &provider, 2, json!({ "VCPU": inventory(4) })).expect(200);
    client.delete(&format!("{}/VCPU", path(&provider))).expect(204);
    client.delete(&path(&provider)).expect(204);
    assert_eq!(client.generation(&provider), 5);
}

fn bad_amounts_are_refused(app: TestApp) {
    let (client, provider) = (app.client(), app.client().new_provider());
    for (key, value) in [
        ("total", json!(0)),
        ("total", json!(-1)),
        ("total", json!("4")),
        ("total", json!(2_147_483_648_i64)),
        ("reserved", json!(-1)),
        ("reserved", json!(5)),
        ("min_unit", json!(0)),
        ("max_unit", json!(0)),
        ("step_size", json!(0)),
        ("step_size", json!(1.5)),
        ("allocation_ratio", json!("1")),
        ("allocation_ratio", json!(1e39)),
        ("more", json!(1)),
    ] {
        let mut body = inventory(4);
        body[key] = value;
        put(&client, &provider, 0, json!({ "VCPU": body })).expect(400);
        body["resource_class"] = "VCPU".into();
        client.post(&path(&provider), &body).expect(400);
    }
    put(&client, &provider, 0, json!({ "VCPU": {} })).expect(400);
    assert_eq!(
        client.get(&path(&provider)).ok(),
        json!({ "resource_provider_generation": 0, "inventories": {} })
    );
}

fn all_may_be_reserved_from_1_26_on(app: TestApp) {
    let (client, provider) = (app.client(), app.client().new_provider());
    let full = json!({ "VCPU": { "total": 4, "reserved": 4 } });
    let refused = put(&client.at("1.25"), &provider, 0, full.clone()).expect(400);
    assert!(refused.detail().contains("is greater than or equal to total."), "{refused}");
    put(&client.at("1.26"), &provider, 0, full).expect(200);
    let more = put(&client, &provider, 1, json!({ "VCPU": { "total": 4, "reserved": 5 } })).expect(400);
    assert!(more.detail().contains("is greater than total."), "{more}");
}

fn unknown_classes_and_providers_are_told(app: TestApp) {
    let (client, provider) = (app.client(), app.client().new_provider());
    for answer in [
        post(&client, &provider, "CUSTOM_NONE", 4),
        put(&client, &provider, 0, json!({ "CUSTOM_NONE": inventory(4) })),
    ] {
        let answer = answer.expect(400);
        assert!(answer.detail().contains("No such resource class CUSTOM_NONE."), "{answer}");
    }
    post(&client, &provider, "vcpu", 4).expect(400);
    for class in ["VCPU", "CUSTOM_NONE"] {
        let path = format!("{}/{class}", path(&provider));
        let none = client.get(&path).expect(404);
        assert!(none.detail().contains(&format!("No inventory of class {class} for")), "{none}");
        let none = client.delete(&path).expect(404);
        assert!(none.detail().contains(&format!("No inventory of class {class} found for delete")), "{none}");
    }
    for answer in [
        client.get(&path(&uuid())),
        post(&client, &uuid(), "VCPU", 4),
        put(&client, &uuid(), 0, json!({})),
        put_one(&client, &uuid(), "VCPU", 0, 4),
        client.delete(&path(&uuid())),
    ] {
        let answer = answer.expect(404);
        assert!(answer.detail().contains("No resource provider with uuid"), "{answer}");
    }
}

fn an_inventory_in_use_stays(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 4), ("DISK_GB", 4)]);
    let consumer = format!("/allocations/{}", uuid());
    client.put(&consumer, &claim(allocations(&provider, "VCPU", 2), Value::Null)).expect(204);
    let generation = client.generation(&provider);
    let left = json!({ "DISK_GB": inventory(4) });
    for answer in [client.delete(&path(&provider)), put(&client, &provider, generation, left)] {
        let answer = answer.expect(409);
        assert_eq!(answer.code(), "inventory.inuse", "{answer}");
        assert!(answer.detail().contains("Inventory for 'VCPU' on resource provider"), "{answer}");
    }
    let one = client.delete(&format!("{}/VCPU", path(&provider)));
    assert!(one.is_concurrent_update(), "{one}");
    // It may become smaller than what is in use.
    put_one(&client, &provider, "VCPU", generation, 1).expect(200);
    client.delete(&consumer).expect(204);
    client.delete(&path(&provider)).expect(204);
}

fn all_are_deleted_from_1_5_on(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 4)]);
    client.at("1.4").delete(&path(&provider)).expect(405);
    client.at("1.5").delete(&path(&provider)).expect(204);
    assert_eq!(client.get(&path(&provider)).ok()["inventories"], json!({}));
}

fn answers_have_a_date_from_1_15_on(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 4)]);
    for path in [path(&provider), format!("{}/VCPU", path(&provider))] {
        let old = client.at("1.14").get(&path).expect(200);
        assert_eq!((old.header("last-modified"), old.header("cache-control")), (None, None), "{path}");
        let new = client.at("1.15").get(&path).expect(200);
        assert!(new.header("last-modified").is_some(), "{path}");
        assert_eq!(new.header("cache-control"), Some("no-cache"), "{path}");
    }
}

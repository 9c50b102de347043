//! `/resource_providers`: making, naming, moving in trees, listing, deleting.

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, allocations, claim, inventory, uuid};

on_each_database!(a_provider_is_made_and_shown);
on_each_database!(names_and_uuids_are_there_once);
on_each_database!(bad_bodies_are_refused);
on_each_database!(a_provider_is_renamed);
on_each_database!(trees_come_with_1_14);
on_each_database!(a_provider_gets_a_parent);
on_each_database!(a_provider_moves_from_1_37_on);
on_each_database!(a_tree_has_no_loops);
on_each_database!(the_list_is_filtered);
on_each_database!(links_come_with_what_they_lead_to);
on_each_database!(a_provider_that_is_needed_is_not_deleted);

const LIST: &str = "/resource_providers";

fn path(provider: &str) -> String {
    format!("{LIST}/{provider}")
}

fn post(client: &Client, name: &str, uuid: &str, parent: Option<&str>) -> Answer {
    let mut body = json!({ "name": name, "uuid": uuid });
    if let Some(parent) = parent {
        body["parent_provider_uuid"] = parent.into();
    }
    client.post(LIST, &body)
}

/// Makes a provider below another one and returns its uuid.
fn child(client: &Client, parent: &str) -> String {
    let uuid = uuid();
    post(client, &uuid, &uuid, Some(parent)).expect(200);
    uuid
}

fn put(client: &Client, provider: &str, parent: impl Into<Value>) -> Answer {
    client.put(&path(provider), &json!({ "name": provider, "parent_provider_uuid": parent.into() }))
}

/// A provider's parent and root.
fn place(client: &Client, provider: &str) -> (Value, Value) {
    let shown = client.get(&path(provider)).ok();
    (shown["parent_provider_uuid"].clone(), shown["root_provider_uuid"].clone())
}

fn a_provider_is_made_and_shown(app: TestApp) {
    let (client, uuid) = (app.client(), uuid());
    let made = post(&client, "host", &uuid, None).expect(200);
    assert!(made.header("location").unwrap().ends_with(&path(&uuid)), "{made}");
    let shown = client.get(&path(&uuid)).expect(200);
    assert_eq!(made.json(), shown.json());
    let body = shown.json();
    assert_eq!((&body["name"], &body["uuid"]), (&json!("host"), &json!(uuid)));
    assert_eq!((&body["generation"], &body["root_provider_uuid"]), (&json!(0), &json!(uuid)));
    assert_eq!(body["parent_provider_uuid"], Value::Null);
    // Before 1.20 the answer is a place to look.
    let old = client.at("1.19").post(LIST, &json!({ "name": "other" })).expect(201);
    assert!(old.body.is_empty() && old.header("content-type").is_none(), "{old}");
    let location = old.header("location").unwrap();
    let found = client.get(&location[location.find(LIST).unwrap()..]).ok();
    assert_eq!(found["name"], "other");
}

fn names_and_uuids_are_there_once(app: TestApp) {
    let (client, one) = (app.client(), uuid());
    post(&client, "host", &one, None).expect(200);
    let name = post(&client, "host", &uuid(), None).expect(409);
    assert!(name.detail().contains("Conflicting resource provider name: host already exists."), "{name}");
    assert_eq!(name.code(), "duplicate_name");
    let same = post(&client, "other", &one, None).expect(409);
    assert!(same.detail().contains(&format!("Conflicting resource provider uuid: {one}")), "{same}");
    // The same uuid in another spelling is the same provider.
    post(&client, "other", &one.replace('-', ""), None).expect(409);
    let second = client.new_provider();
    let taken = client.put(&path(&second), &json!({ "name": "host" })).expect(409);
    assert!(taken.detail().contains("Conflicting resource provider host already exists."), "{taken}");
}

fn bad_bodies_are_refused(app: TestApp) {
    let client = app.client();
    for body in [
        json!({}),
        json!({ "name": 1 }),
        json!({ "name": "" }),
        json!({ "name": "x".repeat(201) }),
        json!({ "name": "a", "uuid": "b" }),
        json!({ "name": "a", "generation": 1 }),
        json!({ "name": "a", "root_provider_uuid": uuid() }),
        json!([]),
    ] {
        client.post(LIST, &body).expect(400);
    }
    let provider = client.new_provider();
    client.put(&path(&provider), &json!({ "name": "a", "uuid": provider })).expect(400);
    assert_eq!(client.get(LIST).ok()["resource_providers"].as_array().unwrap().len(), 1);
}

fn a_provider_is_renamed(app: TestApp) {
    let (client, provider) = (app.client(), app.client().new_provider());
    let renamed = client.put(&path(&provider), &json!({ "name": "new" })).ok();
    assert_eq!((&renamed["name"], &renamed["generation"]), (&json!("new"), &json!(0)));
    assert_eq!(client.get(&path(&provider)).ok(), renamed);
    let missing = client.put(&path(&uuid()), &json!({ "name": "a" })).expect(404);
    assert!(missing.detail().contains("No resource provider with uuid"), "{missing}");
}

fn trees_come_with_1_14(app: TestApp) {
    let (client, provider) = (app.client(), app.client().new_provider());
    let old = client.at("1.13");
    let shown = old.get(&path(&provider)).ok();
    assert!(
        shown.get("parent_provider_uuid").is_none() && shown.get("root_provider_uuid").is_none(),
        "{shown}"
    );
    post(&old, "a", &uuid(), Some(&provider)).expect(400);
    put(&old, &provider, Value::Null).expect(400);
    old.get(&format!("{LIST}?in_tree={provider}")).expect(400);
    post(&client.at("1.14"), "a", &uuid(), Some(&provider)).expect(201);
}

fn a_provider_gets_a_parent(app: TestApp) {
    let client = app.client();
    let (top, other) = (client.new_provider(), client.new_provider());
    let middle = child(&client, &top);
    let low = child(&client, &middle);
    assert_eq!(place(&client, &low), (json!(middle), json!(top)));
    // The whole tree goes along.
    put(&client.at("1.36"), &top, other.as_str()).expect(200);
    assert_eq!(place(&client, &low), (json!(middle), json!(other)));
    let nowhere = put(&client, &other, uuid()).expect(400);
    assert!(nowhere.detail().contains("parent provider UUID does not exist"), "{nowhere}");
    post(&client, "a", &uuid(), Some(&uuid())).expect(400);
}

fn a_provider_moves_from_1_37_on(app: TestApp) {
    let client = app.client();
    let (one, other) = (client.new_provider(), client.new_provider());
    let moved = child(&client, &one);
    let below = child(&client, &moved);
    for parent in [json!(other), Value::Null] {
        let refused = put(&client.at("1.36"), &moved, parent).expect(400);
        assert!(refused.detail().contains("parenting a provider is not currently allowed."), "{refused}");
    }
    put(&client.at("1.37"), &moved, other.as_str()).expect(200);
    assert_eq!(place(&client, &below), (json!(moved), json!(other)));
    put(&client, &moved, Value::Null).expect(200);
    assert_eq!(place(&client, &moved), (Value::Null, json!(moved)));
    assert_eq!(place(&client, &below), (json!(moved), json!(moved)));
}

fn a_tree_has_no_loops(app: TestApp) {
    let client = app.client();
    let top = client.new_provider();
    let low = child(&client, &child(&client, &top));
    for parent in [&top, &low] {
        put(&client, &top, parent.as_str()).expect(400);
    }
    let own = uuid();
    post(&client, "a", &own, Some(&own)).expect(400);
    assert_eq!(place(&client, &top), (Value::Null, json!(top)));
}

/// Which of the providers a list has, by their places.
fn found(client: &Client, query: &str, providers: &[&str]) -> Vec<usize> {
    let list = client.get(&format!("{LIST}?{query}")).ok();
    let list = list["resource_providers"].as_array().unwrap();
    let mut places: Vec<_> =
        list.iter().map(|one| providers.iter().position(|uuid| one["uuid"] == *uuid).unwrap()).collect();
    places.sort_unstable();
    places
}

fn the_list_is_filtered(app: TestApp) {
    let client = app.client();
    let one = client.new_stocked_provider(&[("VCPU", 4), ("DISK_GB", 4)]);
    let low = child(&client, &one);
    let other = client.new_stocked_provider(&[("VCPU", 8)]);
    let traits = json!({ "resource_provider_generation": 1, "traits": ["HW_CPU_X86_VMX"] });
    client.put(&format!("{}/traits", path(&one)), &traits).expect(200);
    let all = [one.as_str(), &low, &other];
    for (query, expected) in [
        (String::new(), &[0, 1, 2][..]),
        (format!("name={other}"), &[2]),
        (format!("uuid={low}"), &[1]),
        (format!("in_tree={low}"), &[0, 1]),
        (format!("in_tree={}", uuid()), &[]),
        ("resources=VCPU:5".to_owned(), &[2]),
        ("resources=VCPU:1,DISK_GB:1".to_owned(), &[0]),
        ("required=HW_CPU_X86_VMX".to_owned(), &[0]),
        ("required=!HW_CPU_X86_VMX".to_owned(), &[1, 2]),
        (format!("required=!HW_CPU_X86_VMX&in_tree={one}"), &[1]),
        ("name=nobody".to_owned(), &[]),
    ] {
        assert_eq!(found(&client, &query, &all), expected, "{query}");
    }
    for (query, version, words) in [
        ("uuid=a", "1.39", "Invalid query string parameters"),
        ("nam=a", "1.39", "Invalid query string parameters"),
        ("resources=CUSTOM_NONE:1", "1.39", "Invalid resource class in resources parameter"),
        ("resources=VCPU:1", "1.3", "Invalid query string parameters"),
        ("required=CUSTOM_NONE", "1.39", "No such trait(s): CUSTOM_NONE."),
        ("required=HW_CPU_X86_VMX", "1.17", "Invalid query string parameters"),
        ("required=!HW_CPU_X86_VMX", "1.21", ""),
    ] {
        let bad = client.at(version).get(&format!("{LIST}?{query}")).expect(400);
        assert!(bad.detail().contains(words), "{query} at {version}: {bad}");
    }
}

fn links_come_with_what_they_lead_to(app: TestApp) {
    let (client, provider) = (app.client(), app.client().new_provider());
    let kinds = ["self", "inventories", "usages", "aggregates", "traits", "allocations"];
    for (version, count) in [("1.0", 3), ("1.1", 4), ("1.5", 4), ("1.6", 5), ("1.10", 5), ("1.11", 6)] {
        for shown in [
            client.at(version).get(&path(&provider)).ok(),
            client.at(version).get(LIST).ok()["resource_providers"][0].clone(),
        ] {
            let links = shown["links"].as_array().unwrap();
            let named: Vec<_> = links.iter().map(|link| link["rel"].as_str().unwrap()).collect();
            assert_eq!(named, kinds[..count], "{version}");
            assert_eq!(links[0]["href"], path(&provider));
            assert_eq!(links[1]["href"], format!("{}/inventories", path(&provider)));
        }
    }
}

fn a_provider_that_is_needed_is_not_deleted(app: TestApp) {
    let client = app.client();
    let top = client.new_stocked_provider(&[("VCPU", 4)]);
    let low = child(&client, &top);
    let parent = client.delete(&path(&top)).expect(409);
    assert_eq!(parent.code(), "resource_provider.cannot_delete_parent");
    assert!(parent.detail().contains("Unable to delete parent resource provider"), "{parent}");
    client.delete(&path(&low)).expect(204);
    let consumer = format!("/allocations/{}", uuid());
    client.put(&consumer, &claim(allocations(&top, "VCPU", 1), Value::Null)).expect(204);
    let used = client.delete(&path(&top)).expect(409);
    assert_eq!(used.code(), "resource_provider.inuse");
    assert!(used.detail().contains("Resource provider has allocations."), "{used}");
    client.delete(&consumer).expect(204);
    // Inventories go along.
    client.delete(&path(&top)).expect(204);
    client.get(&path(&top)).expect(404);
    let gone = client.delete(&path(&top)).expect(404);
    assert!(gone.detail().contains("found for delete"), "{gone}");
    post(&client, &top, &top, None).expect(200);
    let body = json!({ "resource_provider_generation": 0, "inventories": { "VCPU": inventory(1) } });
    client.put(&format!("{}/inventories", path(&top)), &body).expect(200);
}

//! `/resource_classes`.

use serde_json::{Value, json};

use crate::support::{Client, TestApp};

on_each_database!(a_class_is_made_with_put_once);
on_each_database!(a_class_is_made_with_post_once);
on_each_database!(only_custom_names_are_made);
on_each_database!(standard_classes_are_there_and_stay);
on_each_database!(a_class_in_use_is_not_deleted);
on_each_database!(a_class_is_renamed_before_1_7);
on_each_database!(there_are_no_classes_before_1_2);
on_each_database!(answers_have_a_date_from_1_15_on);

const NAME: &str = "/resource_classes/CUSTOM_A";

fn post(client: &Client, name: &str) -> crate::support::Answer {
    client.post("/resource_classes", &json!({ "name": name }))
}

fn a_class_is_made_with_put_once(app: TestApp) {
    let client = app.client();
    let none = client.get(NAME).expect(404);
    assert!(none.detail().contains("No such resource class CUSTOM_A."), "{none}");
    for status in [201, 204] {
        let put = client.send("PUT", NAME, &[], None).expect(status);
        assert!(put.header("location").unwrap().ends_with(NAME) && put.body.is_empty(), "{put}");
    }
    let link = json!([{ "rel": "self", "href": NAME }]);
    assert_eq!(client.get(NAME).ok(), json!({ "name": "CUSTOM_A", "links": link }));
    client.delete(NAME).expect(204);
    client.get(NAME).expect(404);
    client.delete(NAME).expect(404);
}

fn a_class_is_made_with_post_once(app: TestApp) {
    let client = app.client();
    let made = post(&client, "CUSTOM_A").expect(201);
    assert!(made.header("location").unwrap().ends_with(NAME) && made.body.is_empty(), "{made}");
    let again = post(&client, "CUSTOM_A").expect(409);
    assert!(again.detail().contains("Conflicting resource class already exists: CUSTOM_A"), "{again}");
}

fn only_custom_names_are_made(app: TestApp) {
    let client = app.client();
    let long = format!("CUSTOM_{}", "A".repeat(249));
    for name in ["A", "VCPU", "CUSTOM_a", "custom_A", "CUSTOM_A-B", &long] {
        for answer in [post(&client, name), client.put(&format!("/resource_classes/{name}"), &Value::Null)] {
            let answer = answer.expect(400);
            assert!(answer.detail().contains("JSON does not validate"), "{answer}");
        }
    }
    post(&client, &long[..255]).expect(201);
}

fn standard_classes_are_there_and_stay(app: TestApp) {
    let client = app.client();
    let list = client.get("/resource_classes").ok();
    let list = list["resource_classes"].as_array().unwrap();
    assert_eq!(list.len(), 21);
    let vcpu = json!({ "name": "VCPU", "links": [{ "rel": "self", "href": "/resource_classes/VCPU" }] });
    assert!(list.contains(&vcpu), "{list:?}");
    let refused = client.delete("/resource_classes/VCPU").expect(400);
    assert!(refused.detail().contains("Cannot delete standard resource class VCPU."), "{refused}");
    let body = json!({ "name": "CUSTOM_VCPU" });
    let refused = client.at("1.6").put("/resource_classes/VCPU", &body).expect(400);
    assert!(refused.detail().contains("Cannot update standard resource class VCPU"), "{refused}");
}

fn a_class_in_use_is_not_deleted(app: TestApp) {
    let client = app.client();
    client.put(NAME, &Value::Null).expect(201);
    let provider = client.new_stocked_provider(&[("CUSTOM_A", 3)]);
    let refused = client.delete(NAME).expect(409);
    assert!(refused.detail().contains("Class is in use in inventory."), "{refused}");
    client.delete(&format!("/resource_providers/{provider}/inventories")).expect(204);
    client.delete(NAME).expect(204);
}

fn a_class_is_renamed_before_1_7(app: TestApp) {
    let (client, old) = (app.client(), app.client().at("1.6"));
    client.put(NAME, &Value::Null).expect(201);
    client.put("/resource_classes/CUSTOM_B", &Value::Null).expect(201);
    let provider = client.new_stocked_provider(&[("CUSTOM_A", 3)]);
    assert_eq!(old.put(NAME, &json!({ "name": "CUSTOM_C" })).expect(200).json()["name"], "CUSTOM_C");
    client.get(NAME).expect(404);
    client.get(&format!("/resource_providers/{provider}/inventories/CUSTOM_C")).expect(200);
    let taken = old.put("/resource_classes/CUSTOM_C", &json!({ "name": "CUSTOM_B" })).expect(409);
    assert!(taken.detail().contains("Resource class already exists: CUSTOM_B"), "{taken}");
    old.put(NAME, &json!({ "name": "CUSTOM_D" })).expect(404);
    old.put("/resource_classes/CUSTOM_C", &json!({ "name": "C" })).expect(400);
}

fn there_are_no_classes_before_1_2(app: TestApp) {
    let old = app.client().at("1.1");
    old.get("/resource_classes").expect(404);
    old.get("/resource_classes/VCPU").expect(404);
    post(&old, "CUSTOM_A").expect(404);
    post(&app.client().at("1.2"), "CUSTOM_A").expect(201);
    app.client().at("1.2").get(NAME).expect(200);
}

fn answers_have_a_date_from_1_15_on(app: TestApp) {
    for path in ["/resource_classes", "/resource_classes/VCPU"] {
        let old = app.client().at("1.14").get(path).expect(200);
        assert_eq!((old.header("last-modified"), old.header("cache-control")), (None, None), "{path}");
        let new = app.client().at("1.15").get(path).expect(200);
        assert!(new.header("last-modified").is_some(), "{path}");
        assert_eq!(new.header("cache-control"), Some("no-cache"), "{path}");
    }
}

//! `/traits` and the traits of providers.

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, uuid};

on_each_database!(a_trait_is_made_once);
on_each_database!(only_custom_names_are_made);
on_each_database!(standard_traits_are_there_and_stay);
on_each_database!(the_list_is_filtered_by_name);
on_each_database!(the_list_is_filtered_by_use);
on_each_database!(a_provider_gets_the_traits_that_are_put);
on_each_database!(a_stale_generation_changes_no_traits);
on_each_database!(a_provider_gets_no_unknown_trait);
on_each_database!(a_trait_in_use_is_not_deleted);
on_each_database!(there_are_no_traits_before_1_6);

const NAME: &str = "/traits/CUSTOM_A";

fn path(provider: &str) -> String {
    format!("/resource_providers/{provider}/traits")
}

fn put(client: &Client, provider: &str, generation: i64, traits: Value) -> Answer {
    client.put(&path(provider), &json!({ "resource_provider_generation": generation, "traits": traits }))
}

/// The names in a list, in an order of their own.
fn names(answer: Answer) -> Vec<String> {
    let mut names: Vec<String> = serde_json::from_value(answer.ok()["traits"].clone()).unwrap();
    names.sort();
    names
}

fn a_trait_is_made_once(app: TestApp) {
    let client = app.client();
    client.get(NAME).expect(404);
    let made = client.put(NAME, &Value::Null).expect(201);
    assert!(made.header("location").unwrap().ends_with(NAME) && made.body.is_empty(), "{made}");
    let again = client.put(NAME, &Value::Null).expect(204);
    assert!(again.header("location").unwrap().ends_with(NAME), "{again}");
    // A body is neither needed nor read.
    client.send("PUT", NAME, &[], None).expect(204);
    let shown = client.get(NAME).expect(204);
    assert!(shown.header("last-modified").is_some());
    assert!(client.at("1.14").get(NAME).expect(204).header("last-modified").is_none());
    client.delete(NAME).expect(204);
    let gone = client.delete(NAME).expect(404);
    assert!(gone.detail().contains("No such trait(s): CUSTOM_A."), "{gone}");
}

fn only_custom_names_are_made(app: TestApp) {
    for name in ["A", "CUSTOM_a", "custom_A", "CUSTOM_A-B", "CUSTOM_", &format!("CUSTOM_{}", "A".repeat(249))]
    {
        let answer = app.client().put(&format!("/traits/{name}"), &Value::Null).expect(400);
        assert!(answer.detail().contains("The trait is invalid"), "{answer}");
    }
    app.client().put(&format!("/traits/CUSTOM_{}", "A".repeat(248)), &Value::Null).expect(201);
}

fn standard_traits_are_there_and_stay(app: TestApp) {
    let client = app.client();
    client.get("/traits/HW_CPU_X86_VMX").expect(204);
    let refused = client.delete("/traits/HW_CPU_X86_VMX").expect(400);
    assert!(refused.detail().contains("Cannot delete standard trait HW_CPU_X86_VMX."), "{refused}");
    assert_eq!(names(client.get("/traits")).len(), 377);
}

fn the_list_is_filtered_by_name(app: TestApp) {
    let client = app.client();
    for name in ["CUSTOM_A", "CUSTOM_AB", "CUSTOM_B"] {
        client.put(&format!("/traits/{name}"), &Value::Null).expect(201);
    }
    for (filter, found) in [
        ("startswith:CUSTOM_A", &["CUSTOM_A", "CUSTOM_AB"][..]),
        ("startswith:CUSTOM", &["CUSTOM_A", "CUSTOM_AB", "CUSTOM_B"]),
        ("startswith:NOTHING", &[]),
        ("in:CUSTOM_B,CUSTOM_A,CUSTOM_C", &["CUSTOM_A", "CUSTOM_B"]),
        ("in:CUSTOM_B,HW_CPU_X86_VMX", &["CUSTOM_B", "HW_CPU_X86_VMX"]),
    ] {
        assert_eq!(names(client.get(&format!("/traits?name={filter}"))), found, "{filter}");
    }
    let bad = client.get("/traits?name=CUSTOM_A").expect(400);
    assert!(bad.detail().contains("Badly formatted name parameter"), "{bad}");
    let unknown = client.get("/traits?nam=in:CUSTOM_A").expect(400);
    assert!(unknown.detail().contains("Invalid query string parameters"), "{unknown}");
}

fn the_list_is_filtered_by_use(app: TestApp) {
    let client = app.client();
    client.put(NAME, &Value::Null).expect(201);
    client.put("/traits/CUSTOM_B", &Value::Null).expect(201);
    put(&client, &client.new_provider(), 0, json!(["CUSTOM_A", "HW_CPU_X86_VMX"])).expect(200);
    assert_eq!(names(client.get("/traits?associated=true")), ["CUSTOM_A", "HW_CPU_X86_VMX"]);
    assert_eq!(names(client.get("/traits?associated=false&name=startswith:CUSTOM")), ["CUSTOM_B"]);
    let bad = client.get("/traits?associated=yes").expect(400);
    assert!(bad.detail().contains("only accepts \"true\" or \"false\""), "{bad}");
}

fn a_provider_gets_the_traits_that_are_put(app: TestApp) {
    let client = app.client();
    client.put(NAME, &Value::Null).expect(201);
    let provider = client.new_provider();
    let none = client.get(&path(&provider)).ok();
    assert_eq!(none, json!({ "resource_provider_generation": 0, "traits": [] }));
    let set = put(&client, &provider, 0, json!(["CUSTOM_A", "HW_CPU_X86_VMX"])).ok();
    assert_eq!(set["resource_provider_generation"], 1);
    assert_eq!(names(client.get(&path(&provider))), ["CUSTOM_A", "HW_CPU_X86_VMX"]);
    // The same again is no change.
    assert_eq!(
        put(&client, &provider, 1, json!(["HW_CPU_X86_VMX", "CUSTOM_A"])).ok()["resource_provider_generation"],
        1
    );
    assert_eq!(names(put(&client, &provider, 1, json!(["CUSTOM_A"]))), ["CUSTOM_A"]);
    assert_eq!(client.generation(&provider), 2);
    client.delete(&path(&provider)).expect(204);
    assert_eq!(client.get(&path(&provider)).ok(), json!({ "resource_provider_generation": 3, "traits": [] }));
}

fn a_stale_generation_changes_no_traits(app: TestApp) {
    let client = app.client();
    let provider = client.new_provider();
    put(&client, &provider, 0, json!(["HW_CPU_X86_VMX"])).expect(200);
    let stale = put(&client, &provider, 0, json!([]));
    assert!(stale.is_concurrent_update(), "{stale}");
    assert!(stale.detail().contains("generation already changed"), "{stale}");
    assert_eq!(names(client.get(&path(&provider))), ["HW_CPU_X86_VMX"]);
    let missing = client.put(&path(&provider), &json!({ "traits": [] })).expect(400);
    assert!(missing.detail().contains("'resource_provider_generation' is a required property"), "{missing}");
}

fn a_provider_gets_no_unknown_trait(app: TestApp) {
    let client = app.client();
    let provider = client.new_provider();
    let unknown = put(&client, &provider, 0, json!(["HW_CPU_X86_VMX", "CUSTOM_NONE"])).expect(400);
    assert!(unknown.detail().contains("No such trait CUSTOM_NONE"), "{unknown}");
    for traits in [json!("CUSTOM_A"), json!(["A", "A"]), json!([1])] {
        put(&client, &provider, 0, traits).expect(400);
    }
    assert_eq!(client.get(&path(&provider)).ok(), json!({ "resource_provider_generation": 0, "traits": [] }));
    for answer in
        [client.get(&path(&uuid())), put(&client, &uuid(), 0, json!([])), client.delete(&path(&uuid()))]
    {
        let answer = answer.expect(404);
        assert!(answer.detail().contains("No resource provider with uuid"), "{answer}");
    }
}

fn a_trait_in_use_is_not_deleted(app: TestApp) {
    let client = app.client();
    client.put(NAME, &Value::Null).expect(201);
    let provider = client.new_provider();
    put(&client, &provider, 0, json!(["CUSTOM_A"])).expect(200);
    let refused = client.delete(NAME).expect(409);
    assert!(refused.detail().contains("The trait CUSTOM_A is in use by a resource provider."), "{refused}");
    client.delete(&format!("/resource_providers/{provider}")).expect(204);
    client.delete(NAME).expect(204);
}

fn there_are_no_traits_before_1_6(app: TestApp) {
    let (old, provider) = (app.client().at("1.5"), app.client().new_provider());
    for path in ["/traits", NAME, &path(&provider)] {
        old.get(path).expect(404);
        app.client().at("1.6").get(path);
    }
    old.put(NAME, &Value::Null).expect(404);
    put(&old, &provider, 0, json!([])).expect(404);
    put(&app.client().at("1.6"), &provider, 0, json!([])).expect(200);
}

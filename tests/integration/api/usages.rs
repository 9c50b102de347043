//! `/usages` and `/resource_providers/{uuid}/usages`.

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, allocations, claim, uuid};

on_each_database!(a_provider_shows_what_is_in_use);
on_each_database!(a_project_shows_what_it_uses);
on_each_database!(a_user_is_a_part_of_a_project);
on_each_database!(consumers_are_counted_by_type_from_1_38_on);
on_each_database!(one_type_or_all_in_one_may_be_asked_for);
on_each_database!(bad_questions_are_refused);
on_each_database!(there_are_no_usages_of_projects_before_1_9);

/// Claims for a new consumer, and returns its path.
fn hold(client: &Client, allocations: Value, project: &str, user: &str, kind: &str) -> String {
    let path = format!("/allocations/{}", uuid());
    let mut body = claim(allocations, Value::Null);
    for (key, value) in [("project_id", project), ("user_id", user), ("consumer_type", kind)] {
        body[key] = value.into();
    }
    client.put(&path, &body).expect(204);
    path
}

fn usages(client: &Client, query: &str) -> Value {
    client.get(&format!("/usages?{query}")).ok()["usages"].clone()
}

fn a_provider_shows_what_is_in_use(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 10), ("DISK_GB", 10)]);
    let path = format!("/resource_providers/{provider}/usages");
    // A class of which there is an inventory is shown when nothing is in use, too.
    let none = json!({ "resource_provider_generation": 1, "usages": { "VCPU": 0, "DISK_GB": 0 } });
    assert_eq!(client.get(&path).ok(), none);
    let one = hold(&client, allocations(&provider, "VCPU", 2), "a", "u", "INSTANCE");
    hold(&client, allocations(&provider, "VCPU", 3), "b", "u", "INSTANCE");
    let some = json!({ "resource_provider_generation": 3, "usages": { "VCPU": 5, "DISK_GB": 0 } });
    assert_eq!(client.get(&path).ok(), some);
    client.delete(&one).expect(204);
    assert_eq!(client.usages(&provider), json!({ "VCPU": 3, "DISK_GB": 0 }));
    assert_eq!(client.usages(&client.new_provider()), json!({}));
    let unknown = client.get(&format!("/resource_providers/{}/usages", uuid())).expect(404);
    assert!(unknown.detail().contains("No resource provider with uuid"), "{unknown}");
}

fn a_project_shows_what_it_uses(app: TestApp) {
    let (client, old) = (app.client(), app.client().at("1.37"));
    let providers = [
        client.new_stocked_provider(&[("VCPU", 10), ("DISK_GB", 10)]),
        client.new_stocked_provider(&[("VCPU", 10)]),
    ];
    assert_eq!(usages(&old, "project_id=a"), json!({}));
    let both = json!({
        &providers[0]: { "resources": { "VCPU": 2, "DISK_GB": 4 } },
        &providers[1]: { "resources": { "VCPU": 1 } },
    });
    let path = hold(&client, both, "a", "u", "INSTANCE");
    hold(&client, allocations(&providers[1], "VCPU", 5), "b", "u", "INSTANCE");
    assert_eq!(usages(&old, "project_id=a"), json!({ "VCPU": 3, "DISK_GB": 4 }));
    assert_eq!(usages(&old, "project_id=b"), json!({ "VCPU": 5 }));
    client.delete(&path).expect(204);
    assert_eq!(usages(&old, "project_id=a"), json!({}));
}

fn a_user_is_a_part_of_a_project(app: TestApp) {
    let (client, old) = (app.client(), app.client().at("1.37"));
    let provider = client.new_stocked_provider(&[("VCPU", 10)]);
    for (project, user, amount) in [("a", "u", 1), ("a", "v", 2), ("b", "u", 4)] {
        hold(&client, allocations(&provider, "VCPU", amount), project, user, "INSTANCE");
    }
    for (query, amount) in [("project_id=a", 3), ("project_id=a&user_id=u", 1), ("project_id=b&user_id=u", 4)]
    {
        assert_eq!(usages(&old, query), json!({ "VCPU": amount }), "{query}");
    }
    assert_eq!(usages(&old, "project_id=b&user_id=v"), json!({}));
}

fn consumers_are_counted_by_type_from_1_38_on(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 20), ("DISK_GB", 20)]);
    let two = json!({ &provider: { "resources": { "VCPU": 1, "DISK_GB": 5 } } });
    hold(&client, two, "a", "u", "INSTANCE");
    hold(&client, allocations(&provider, "VCPU", 2), "a", "u", "INSTANCE");
    hold(&client, allocations(&provider, "VCPU", 4), "a", "u", "MIGRATION");
    let mut old = claim(allocations(&provider, "VCPU", 8), Value::Null);
    old["project_id"] = "a".into();
    old.as_object_mut().unwrap().remove("consumer_type");
    client.at("1.37").put(&format!("/allocations/{}", uuid()), &old).expect(204);
    let expected = json!({
        "INSTANCE": { "consumer_count": 2, "VCPU": 3, "DISK_GB": 5 },
        "MIGRATION": { "consumer_count": 1, "VCPU": 4 },
        "unknown": { "consumer_count": 1, "VCPU": 8 },
    });
    assert_eq!(usages(&client.at("1.38"), "project_id=a"), expected);
    assert_eq!(usages(&client.at("1.37"), "project_id=a"), json!({ "VCPU": 15, "DISK_GB": 5 }));
}

fn one_type_or_all_in_one_may_be_asked_for(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 20)]);
    hold(&client, allocations(&provider, "VCPU", 2), "a", "u", "INSTANCE");
    hold(&client, allocations(&provider, "VCPU", 4), "a", "u", "MIGRATION");
    for (kind, expected) in [
        ("MIGRATION", json!({ "MIGRATION": { "consumer_count": 1, "VCPU": 4 } })),
        ("all", json!({ "all": { "consumer_count": 2, "VCPU": 6 } })),
        ("ALL", json!({})),
        ("unknown", json!({})),
    ] {
        assert_eq!(usages(&client, &format!("project_id=a&consumer_type={kind}")), expected, "{kind}");
    }
    client.at("1.37").get("/usages?project_id=a&consumer_type=all").expect(400);
    client.get("/usages?project_id=a&consumer_type=instance").expect(400);
}

fn bad_questions_are_refused(app: TestApp) {
    let long = "x".repeat(256);
    let refused = |query: &str| -> Answer { app.client().get(&format!("/usages{query}")).expect(400) };
    for query in [
        "",
        "?user_id=u",
        "?project_id=",
        "?project_id=a&user_id=",
        "?project_id=a&more=b",
        &format!("?project_id={long}"),
        &format!("?project_id=a&user_id={long}"),
    ] {
        let answer = refused(query);
        assert!(answer.detail().contains("Invalid query string parameters"), "{answer}");
    }
}

fn there_are_no_usages_of_projects_before_1_9(app: TestApp) {
    app.client().at("1.8").get("/usages?project_id=a").expect(404);
    app.client().at("1.9").get("/usages?project_id=a").expect(200);
    let provider = app.client().new_provider();
    app.client().at("1.0").get(&format!("/resource_providers/{provider}/usages")).expect(200);
}

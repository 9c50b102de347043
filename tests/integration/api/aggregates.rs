//! `/resource_providers/{uuid}/aggregates` and the filter by them.

use serde_json::json;

use crate::support::{Answer, Client, TestApp, uuid};

on_each_database!(a_provider_gets_the_aggregates_that_are_put);
on_each_database!(a_stale_generation_changes_no_aggregates);
on_each_database!(generations_count_from_1_19_on);
on_each_database!(bad_lists_are_refused);
on_each_database!(providers_are_found_by_their_aggregates);
on_each_database!(forbidden_aggregates_come_with_1_32);
on_each_database!(there_are_no_aggregates_before_1_1);

fn path(provider: &str) -> String {
    format!("/resource_providers/{provider}/aggregates")
}

fn put(client: &Client, provider: &str, generation: i64, aggregates: &[&str]) -> Answer {
    let body = json!({ "resource_provider_generation": generation, "aggregates": aggregates });
    client.put(&path(provider), &body)
}

/// The aggregates in an answer, in an order of their own.
fn listed(answer: Answer) -> Vec<String> {
    let mut list: Vec<String> = serde_json::from_value(answer.ok()["aggregates"].clone()).unwrap();
    list.sort();
    list
}

fn sorted(list: &[&str]) -> Vec<String> {
    let mut list: Vec<_> = list.iter().map(|&part| part.to_owned()).collect();
    list.sort();
    list
}

fn a_provider_gets_the_aggregates_that_are_put(app: TestApp) {
    let (client, provider) = (app.client(), app.client().new_provider());
    let (one, two) = (uuid(), uuid());
    let none = client.get(&path(&provider)).ok();
    assert_eq!(none, json!({ "aggregates": [], "resource_provider_generation": 0 }));
    let set = put(&client, &provider, 0, &[&one, &two]).ok();
    // The list is told as it was sent.
    assert_eq!(set, json!({ "aggregates": [one, two], "resource_provider_generation": 1 }));
    assert_eq!(listed(client.get(&path(&provider))), sorted(&[&one, &two]));
    put(&client, &provider, 1, &[&two]).expect(200);
    assert_eq!(listed(client.get(&path(&provider))), [two]);
    assert_eq!(client.generation(&provider), 2);
    put(&client, &provider, 2, &[]).expect(200);
    assert_eq!(listed(client.get(&path(&provider))), [""; 0]);
}

fn a_stale_generation_changes_no_aggregates(app: TestApp) {
    let (client, provider, one) = (app.client(), app.client().new_provider(), uuid());
    put(&client, &provider, 0, &[&one]).expect(200);
    let stale = put(&client, &provider, 0, &[]);
    assert!(stale.is_concurrent_update(), "{stale}");
    assert!(stale.detail().contains("generation already changed"), "{stale}");
    assert_eq!(listed(client.get(&path(&provider))), [one]);
    let missing = client.put(&path(&provider), &json!({ "aggregates": [] })).expect(400);
    assert!(missing.detail().contains("'resource_provider_generation' is a required property"), "{missing}");
}

fn generations_count_from_1_19_on(app: TestApp) {
    let (client, provider, one) = (app.client(), app.client().new_provider(), uuid());
    let old = client.at("1.18");
    let set = old.put(&path(&provider), &json!([one])).ok();
    assert_eq!(set, json!({ "aggregates": [one] }));
    assert_eq!(client.generation(&provider), 0);
    assert_eq!(old.get(&path(&provider)).ok(), json!({ "aggregates": [one] }));
    put(&old, &provider, 0, &[]).expect(400);
    client.put(&path(&provider), &json!([one])).expect(400);
    put(&client.at("1.19"), &provider, 0, &[&one]).expect(200);
    assert_eq!(client.generation(&provider), 1);
}

fn bad_lists_are_refused(app: TestApp) {
    let (client, provider, one) = (app.client(), app.client().new_provider(), uuid());
    for aggregates in [&["aggregate"][..], &[&one, &one]] {
        let bad = put(&client, &provider, 0, aggregates).expect(400);
        assert!(bad.detail().contains("JSON does not validate"), "{bad}");
    }
    let bad = json!({ "resource_provider_generation": 0, "aggregates": one });
    client.put(&path(&provider), &bad).expect(400);
    assert_eq!(listed(client.get(&path(&provider))), [""; 0]);
    for answer in [client.get(&path(&uuid())), put(&client, &uuid(), 0, &[])] {
        let answer = answer.expect(404);
        assert!(answer.detail().contains("No resource provider with uuid"), "{answer}");
    }
}

/// Which of the providers a list has, by their places.
fn found(client: &Client, query: &str, providers: &[String]) -> Vec<usize> {
    let list = client.get(&format!("/resource_providers?{query}")).ok();
    let list = list["resource_providers"].as_array().unwrap();
    let has = |uuid: &String| list.iter().any(|provider| provider["uuid"] == uuid.as_str());
    (0..providers.len()).filter(|place| has(&providers[*place])).collect()
}

fn providers_are_found_by_their_aggregates(app: TestApp) {
    let client = app.client();
    let providers = [client.new_provider(), client.new_provider(), client.new_provider()];
    let (a, b) = (uuid(), uuid());
    put(&client, &providers[0], 0, &[&a]).expect(200);
    put(&client, &providers[1], 0, &[&a, &b]).expect(200);
    for (query, expected) in [
        (format!("member_of={a}"), &[0, 1][..]),
        (format!("member_of={b}"), &[1]),
        (format!("member_of=in:{a},{b}"), &[0, 1]),
        (format!("member_of={a}&member_of={b}"), &[1]),
        (format!("member_of={}", uuid()), &[]),
    ] {
        assert_eq!(found(&client, &query, &providers), expected, "{query}");
    }
    client.get("/resource_providers?member_of=aggregate").expect(400);
    client.at("1.2").get(&format!("/resource_providers?member_of={a}")).expect(400);
    // Several of them come with 1.24.
    client.at("1.23").get(&format!("/resource_providers?member_of={a}&member_of={b}")).expect(400);
}

fn forbidden_aggregates_come_with_1_32(app: TestApp) {
    let client = app.client();
    let providers = [client.new_provider(), client.new_provider(), client.new_provider()];
    let (a, b) = (uuid(), uuid());
    put(&client, &providers[0], 0, &[&a]).expect(200);
    put(&client, &providers[1], 0, &[&b]).expect(200);
    for (query, expected) in [
        (format!("member_of=!{a}"), &[1, 2][..]),
        (format!("member_of=!in:{a},{b}"), &[2]),
        (format!("member_of={b}&member_of=!{a}"), &[1]),
    ] {
        assert_eq!(found(&client, &query, &providers), expected, "{query}");
        client.at("1.31").get(&format!("/resource_providers?{query}")).expect(400);
    }
}

fn there_are_no_aggregates_before_1_1(app: TestApp) {
    let provider = app.client().new_provider();
    app.client().at("1.0").get(&path(&provider)).expect(404);
    app.client().at("1.0").put(&path(&provider), &json!([])).expect(404);
    app.client().at("1.1").put(&path(&provider), &json!([])).expect(200);
}

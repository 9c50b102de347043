//! Tables of Placement on MariaDB that take no notice of case, as Placement makes them: a thing has one
//! name there, however it is spelled.

use serde_json::{Value, json};

use crate::support::{Client, TestApp, allocations, claim, uuid};

fn folded() -> TestApp {
    TestApp::start_on_tables("utf8mb3_general_ci")
}

/// A uuid that upper case makes another text of.
fn lower() -> String {
    format!("abcdef{}", &uuid()[6..])
}

#[test]
fn one_aggregate_in_two_spellings_is_one() {
    let app = folded();
    let client = app.client();
    let (provider, other) = (client.new_provider(), client.new_provider());
    let path = format!("/resource_providers/{provider}/aggregates");
    let put = |aggregates: &[&str]| {
        let body =
            json!({ "resource_provider_generation": client.generation(&provider), "aggregates": aggregates });
        assert_eq!(client.put(&path, &body).ok()["aggregates"], json!(aggregates));
        let shown = client.get(&path).ok()["aggregates"].as_array().unwrap().clone();
        assert_eq!(shown.len(), aggregates.len().min(1), "{shown:?}");
        assert!(shown.iter().all(|uuid| uuid.as_str().unwrap().eq_ignore_ascii_case(aggregates[0])));
    };
    let low = lower();
    let upper = low.to_uppercase();
    let members = |uuid: &str| {
        let found = client.get(&format!("/resource_providers?member_of={uuid}")).ok();
        found["resource_providers"].as_array().unwrap().len()
    };
    let (l, u) = (low.as_str(), upper.as_str());
    for aggregates in [&[l, u][..], &[u], &[l], &[u, l], &[]] {
        put(aggregates);
        let expected = aggregates.len().min(1);
        assert_eq!([members(&low), members(&upper)], [expected; 2], "{aggregates:?}");
        let forbidden = client.get(&format!("/resource_providers?member_of=!{upper}")).ok();
        assert_eq!(forbidden["resource_providers"].as_array().unwrap().len(), 2 - expected);
    }
    // Another provider names the aggregate first, in another spelling.
    let spelled = lower();
    let body = json!({ "resource_provider_generation": 0, "aggregates": [spelled.to_uppercase()] });
    client.put(&format!("/resource_providers/{other}/aggregates"), &body).ok();
    put(&[&spelled]);
    assert_eq!([members(&spelled), members(&spelled.to_uppercase())], [2; 2]);
}

#[test]
fn providers_are_found_in_upper_case() {
    let app = folded();
    let client = app.client();
    let made =
        client.post("/resource_providers", &json!({ "name": "Host", "uuid": lower().to_uppercase() })).ok();
    let low = made["uuid"].as_str().unwrap().to_owned();
    let upper = low.to_uppercase();
    assert_ne!(low, upper);
    let path = format!("/resource_providers/{upper}");
    assert_eq!(client.get(&path).ok()["uuid"], json!(low));
    let body = json!({ "resource_provider_generation": 0, "inventories": { "VCPU": { "total": 9 } } });
    client.put(&format!("{path}/inventories"), &body).ok();
    let body = json!({ "resource_provider_generation": 1, "traits": ["HW_CPU_X86_VMX"] });
    client.put(&format!("{path}/traits"), &body).ok();
    let aggregate = lower();
    let body = json!({ "resource_provider_generation": 2, "aggregates": [aggregate] });
    client.put(&format!("{path}/aggregates"), &body).ok();
    for part in ["inventories", "inventories/VCPU", "usages", "aggregates", "traits", "allocations"] {
        client.get(&format!("{path}/{part}")).expect(200);
    }
    let found = |query: &str| client.get(&format!("/resource_providers?{query}")).ok();
    let one = found(&format!("uuid={low}"));
    assert_eq!(one["resource_providers"].as_array().unwrap().len(), 1);
    for query in [
        format!("uuid={upper}"),
        format!("in_tree={upper}"),
        format!("member_of={}", aggregate.to_uppercase()),
        "name=Host".to_owned(),
        "name=HOST".to_owned(),
        "name=h%C3%B6st".to_owned(),
        "name=host%20".to_owned(),
    ] {
        assert_eq!(found(&query), one, "{query}");
    }
    assert_eq!(found("name=hos")["resource_providers"], json!([]));
    let candidates = |more: &str| {
        let found = client.get(&format!("/allocation_candidates?resources=VCPU:1&{more}")).ok();
        found["allocation_requests"].as_array().unwrap().len()
    };
    assert_eq!(candidates(&format!("in_tree={upper}&member_of={}", aggregate.to_uppercase())), 1);
    assert_eq!(candidates(&format!("in_tree={upper}&member_of=!{}", aggregate.to_uppercase())), 0);
    // A child below it, and its own name in another case.
    let child = json!({ "name": "child", "parent_provider_uuid": upper });
    let child = client.post("/resource_providers", &child).ok();
    assert_eq!(child["parent_provider_uuid"], json!(low));
    client.put(&path, &json!({ "name": "HOST" })).expect(200);
    client
        .put(&format!("/resource_providers/{}", child["uuid"].as_str().unwrap()), &json!({ "name": "host" }))
        .expect(409);
    client.post("/resource_providers", &json!({ "name": "host" })).expect(409);
    client.post("/resource_providers", &json!({ "name": "new", "uuid": upper })).expect(409);
    client
        .delete(&format!("/resource_providers/{}", child["uuid"].as_str().unwrap().to_uppercase()))
        .expect(204);
    client.delete(&path).expect(204);
    client.get(&format!("/resource_providers/{low}")).expect(404);
}

#[test]
fn consumers_are_found_in_upper_case() {
    let app = folded();
    let client = app.client();
    let provider = provider_in_lower_case(&client);
    let other = client.new_stocked_provider(&[("VCPU", 9)]);
    let low = lower();
    let upper = low.to_uppercase();
    let (low_path, path) = (format!("/allocations/{low}"), format!("/allocations/{upper}"));
    let loud = provider.to_uppercase();
    client.put(&low_path, &claim(allocations(&loud, "VCPU", 1), Value::Null)).expect(204);
    let shown = client.get(&path).ok();
    assert_eq!(shown, client.get(&low_path).ok());
    assert_eq!(shown["allocations"][&provider]["resources"], json!({ "VCPU": 1 }));
    // Each of these finds the consumer, and none makes another one.
    client.put(&path, &claim(allocations(&loud, "VCPU", 2), 1)).expect(204);
    let mut both = allocations(&loud, "VCPU", 3);
    both[&other]["resources"]["VCPU"] = 1.into();
    client.post("/allocations", &json!({ &upper: claim(both, 2) })).expect(204);
    let moved = claim(allocations(&loud, "VCPU", 4), 3);
    let inventories = json!({ &loud: {
        "resource_provider_generation": client.generation(&provider),
        "inventories": { "VCPU": { "total": 9 }, "DISK_GB": { "total": 1 } },
    } });
    client
        .post("/reshaper", &json!({ "inventories": inventories, "allocations": { &upper: moved } }))
        .expect(204);
    assert_eq!(app.database.count("SELECT COUNT(*) AS n FROM consumers"), 1);
    let spelled = format!("SELECT COUNT(*) AS n FROM allocations WHERE BINARY consumer_id <> '{low}'");
    assert_eq!(app.database.count(&spelled), 0);
    assert_eq!(client.usages(&provider)["VCPU"], 4);
    client.delete(&path).expect(204);
    assert_eq!(client.usages(&provider)["VCPU"], 0);
    // A uuid that comes in upper case is found in lower case.
    client
        .post("/allocations", &json!({ &upper: claim(allocations(&provider, "VCPU", 1), Value::Null) }))
        .expect(204);
    client.put(&low_path, &claim(allocations(&provider, "VCPU", 2), 1)).expect(204);
    assert_eq!(client.usages(&provider)["VCPU"], 2);
    client.delete(&low_path).expect(204);
    // The project and the user, too, are those of the stored rows.
    for project in ["Project", "project", "PROJECT"] {
        let mut body = claim(allocations(&provider, "VCPU", 1), Value::Null);
        body["project_id"] = project.into();
        client.put(&format!("/allocations/{}", uuid()), &body).expect(204);
    }
    assert_eq!(app.database.count("SELECT COUNT(*) AS n FROM projects"), 1);
    assert_eq!(client.get("/usages?project_id=pRoject&consumer_type=all").ok()["usages"]["all"]["VCPU"], 3);
}

fn provider_in_lower_case(client: &Client) -> String {
    let provider = lower();
    client.post("/resource_providers", &json!({ "name": provider, "uuid": provider })).ok();
    let body = json!({ "resource_provider_generation": 0, "inventories": { "VCPU": { "total": 9 } } });
    client.put(&format!("/resource_providers/{provider}/inventories"), &body).ok();
    provider
}

#[test]
fn what_is_named_twice_in_one_body_is_refused() {
    let app = folded();
    let client = app.client();
    let provider = provider_in_lower_case(&client);
    let (low, loud) = (lower(), provider.to_uppercase());
    let one = || claim(allocations(&provider, "VCPU", 1), Value::Null);
    let twice = json!({ &low: one(), low.to_uppercase(): one() });
    client.post("/allocations", &twice).expect(400);
    let stock = || json!({ "resource_provider_generation": 1, "inventories": { "VCPU": { "total": 9 } } });
    let inventories = json!({ &provider: stock() });
    client.post("/reshaper", &json!({ "inventories": inventories, "allocations": twice })).expect(400);
    let mut both = allocations(&provider, "VCPU", 1);
    both[&loud]["resources"]["VCPU"] = 1.into();
    client.put(&format!("/allocations/{low}"), &claim(both, Value::Null)).expect(400);
    let twice = json!({ "inventories": { &provider: stock(), &loud: stock() }, "allocations": {} });
    client.post("/reshaper", &twice).expect(400);
}

#[test]
fn a_provider_has_one_queue_in_any_case() {
    let app = folded();
    let client = app.client();
    let provider = provider_in_lower_case(&client);
    let loud = provider.to_uppercase();
    let ticket = json!({ "scope": "vm", "id": "1", "lease_seconds": 600 });
    let first = client.post(&format!("/resource_providers/{provider}/waitlist"), &ticket).ok();
    let second = client.post(&format!("/resource_providers/{loud}/waitlist"), &ticket).ok();
    assert_eq!([&first["status"], &second["status"]], [&json!("active"), &json!("queued")]);
    let listed = client.get(&format!("/resource_providers/{loud}/waitlist")).ok();
    assert_eq!(listed["tickets"].as_array().unwrap().len(), 2);
    client
        .get(&format!("/resource_providers/{loud}/waitlist/{}", first["uuid"].as_str().unwrap()))
        .expect(200);
    client.delete(&format!("/resource_providers/{loud}")).expect(409);
}

/// A row with a name in lower case, which no request writes, is in the way of a new name, at each try again.
#[test]
fn a_row_that_stays_in_the_way_is_no_race() {
    let app = folded();
    let client = app.client();
    app.database.execute("UPDATE resource_classes SET name = 'custom_a' WHERE name = 'PGPU'");
    app.database.execute("UPDATE traits SET name = 'custom_a' WHERE name = 'HW_CPU_X86_VMX'");
    for path in ["/resource_classes/CUSTOM_A", "/traits/CUSTOM_A"] {
        let answer = client.put(path, &Value::Null).expect(409);
        assert!(!answer.is_concurrent_update(), "{answer}");
    }
}

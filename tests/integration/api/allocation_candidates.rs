//! `/allocation_candidates`: what is asked for, and the form of the answer.

use serde_json::{Value, json};

use crate::support::{Client, TestApp, allocations, claim, uuid};

on_each_database!(a_candidate_can_be_claimed_as_it_is);
on_each_database!(only_providers_with_room_are_found);
on_each_database!(traits_are_required_and_forbidden);
on_each_database!(aggregates_and_trees_narrow_the_search);
on_each_database!(a_tree_serves_together_from_1_29_on);
on_each_database!(a_sharing_provider_serves_its_aggregate);
on_each_database!(groups_are_met_by_one_provider_each);
on_each_database!(groups_may_be_bound_to_a_subtree);
on_each_database!(a_limit_leaves_a_part);
on_each_database!(the_form_changes_with_the_versions);
on_each_database!(bad_questions_are_refused);

fn ask(client: &Client, query: &str) -> Value {
    client.get(&format!("/allocation_candidates?{query}")).ok()
}

/// The providers of each candidate, by their places in `all`.
fn found(answer: &Value, all: &[&str]) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = answer["allocation_requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| {
            let providers = request["allocations"].as_object().unwrap();
            (0..all.len()).filter(|place| providers.contains_key(all[*place])).collect()
        })
        .collect();
    found.sort();
    found
}

/// Makes a provider below another one, with these inventories, and returns its uuid.
fn child(client: &Client, parent: &str, totals: &[(&str, i32)]) -> String {
    let uuid = client.new_stocked_provider(totals);
    client
        .put(&format!("/resource_providers/{uuid}"), &json!({ "name": uuid, "parent_provider_uuid": parent }))
        .ok();
    uuid
}

/// Puts a provider's traits or aggregates.
fn give(client: &Client, provider: &str, part: &str, list: &[&str]) {
    let mut body = json!({ "resource_provider_generation": client.generation(provider) });
    body[part] = json!(list);
    client.put(&format!("/resource_providers/{provider}/{part}"), &body).ok();
}

fn a_candidate_can_be_claimed_as_it_is(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 8), ("DISK_GB", 100)]);
    let answer = ask(&client, "resources=VCPU:2,DISK_GB:10");
    let expected = json!([{
        "allocations": { &provider: { "resources": { "VCPU": 2, "DISK_GB": 10 } } },
        "mappings": { "": [provider] },
    }]);
    assert_eq!(answer["allocation_requests"], expected);
    let mut body = answer["allocation_requests"][0].clone();
    for (key, value) in [("project_id", "p"), ("user_id", "u"), ("consumer_type", "INSTANCE")] {
        body[key] = value.into();
    }
    body["consumer_generation"] = Value::Null;
    client.put(&format!("/allocations/{}", uuid()), &body).expect(204);
    let shown = ask(&client, "resources=VCPU:1")["provider_summaries"][&provider].clone();
    assert_eq!(shown["resources"]["VCPU"], json!({ "capacity": 8, "used": 2 }));
    assert_eq!(shown["resources"]["DISK_GB"], json!({ "capacity": 100, "used": 10 }));
}

fn only_providers_with_room_are_found(app: TestApp) {
    let client = app.client();
    let [small, large] = [4, 8].map(|total| client.new_stocked_provider(&[("VCPU", total)]));
    let all = [small.as_str(), &large];
    for (amount, expected) in [(4, vec![vec![0], vec![1]]), (5, vec![vec![1]]), (9, vec![])] {
        assert_eq!(found(&ask(&client, &format!("resources=VCPU:{amount}")), &all), expected, "{amount}");
    }
    let body = claim(allocations(&large, "VCPU", 4), Value::Null);
    client.put(&format!("/allocations/{}", uuid()), &body).expect(204);
    let none = ask(&client, "resources=VCPU:5");
    assert_eq!(none, json!({ "allocation_requests": [], "provider_summaries": {} }));
}

fn traits_are_required_and_forbidden(app: TestApp) {
    let client = app.client();
    let [a, b, c] = [(); 3].map(|()| client.new_stocked_provider(&[("VCPU", 4)]));
    give(&client, &a, "traits", &["HW_CPU_X86_VMX", "HW_CPU_X86_AVX"]);
    give(&client, &b, "traits", &["HW_CPU_X86_AVX"]);
    let all = [a.as_str(), &b, &c];
    for (query, expected) in [
        ("required=HW_CPU_X86_AVX", &[0, 1][..]),
        ("required=HW_CPU_X86_AVX,HW_CPU_X86_VMX", &[0]),
        ("required=!HW_CPU_X86_VMX", &[1, 2]),
        ("required=HW_CPU_X86_AVX,!HW_CPU_X86_VMX", &[1]),
        ("required=in:HW_CPU_X86_VMX,HW_CPU_X86_AVX", &[0, 1]),
        ("required=in:HW_CPU_X86_VMX,HW_CPU_X86_SSE&required=!HW_CPU_X86_SSE", &[0]),
        ("required=HW_CPU_X86_SSE", &[]),
    ] {
        let answer = ask(&client, &format!("resources=VCPU:1&{query}"));
        let expected: Vec<_> = expected.iter().map(|place| vec![*place]).collect();
        assert_eq!(found(&answer, &all), expected, "{query}");
    }
    for (query, version) in [
        ("required=HW_CPU_X86_AVX", "1.16"),
        ("required=!HW_CPU_X86_AVX", "1.21"),
        ("required=in:HW_CPU_X86_AVX,HW_CPU_X86_VMX", "1.38"),
        ("required=CUSTOM_NONE", "1.39"),
        ("required=", "1.39"),
    ] {
        let path = format!("/allocation_candidates?resources=VCPU:1&{query}");
        client.at(version).get(&path).expect(400);
    }
}

fn aggregates_and_trees_narrow_the_search(app: TestApp) {
    let client = app.client();
    let [a, b] = [(); 2].map(|()| client.new_stocked_provider(&[("VCPU", 4)]));
    let aggregate = uuid();
    give(&client, &a, "aggregates", &[&aggregate]);
    let all = [a.as_str(), &b];
    for (query, expected, since) in [
        (format!("member_of={aggregate}"), 0, 21),
        (format!("member_of=!{aggregate}"), 1, 32),
        (format!("in_tree={b}"), 1, 31),
    ] {
        let path = format!("resources=VCPU:1&{query}");
        assert_eq!(found(&ask(&client, &path), &all), [[expected]], "{query}");
        client.at(&format!("1.{since}")).get(&format!("/allocation_candidates?{path}")).expect(200);
        client.at(&format!("1.{}", since - 1)).get(&format!("/allocation_candidates?{path}")).expect(400);
    }
}

fn a_tree_serves_together_from_1_29_on(app: TestApp) {
    let client = app.client();
    let top = client.new_stocked_provider(&[("DISK_GB", 100)]);
    let left = child(&client, &top, &[("VCPU", 4)]);
    let right = child(&client, &top, &[("VCPU", 8)]);
    let all = [top.as_str(), &left, &right];
    let query = "resources=VCPU:2,DISK_GB:10";
    let answer = ask(&client.at("1.29"), query);
    assert_eq!(found(&answer, &all), [vec![0, 1], vec![0, 2]]);
    let shown = &answer["provider_summaries"][&left];
    assert_eq!((&shown["parent_provider_uuid"], &shown["root_provider_uuid"]), (&json!(top), &json!(top)));
    assert_eq!(ask(&client.at("1.28"), query)["allocation_requests"], json!([]));
    // All of the tree is shown, even what does not serve.
    let one = ask(&client, "resources=VCPU:5");
    assert_eq!(found(&one, &all), [[2]]);
    assert_eq!(one["provider_summaries"].as_object().unwrap().len(), 3);
}

fn a_sharing_provider_serves_its_aggregate(app: TestApp) {
    let client = app.client();
    let [near, far] = [(); 2].map(|()| client.new_stocked_provider(&[("VCPU", 4)]));
    let disks = client.new_stocked_provider(&[("DISK_GB", 100)]);
    let aggregate = uuid();
    give(&client, &disks, "traits", &["MISC_SHARES_VIA_AGGREGATE"]);
    give(&client, &disks, "aggregates", &[&aggregate]);
    give(&client, &near, "aggregates", &[&aggregate]);
    let all = [near.as_str(), &far, &disks];
    assert_eq!(found(&ask(&client, "resources=VCPU:1,DISK_GB:10"), &all), [[0, 2]]);
}

fn groups_are_met_by_one_provider_each(app: TestApp) {
    let client = app.client();
    let top = client.new_stocked_provider(&[("MEMORY_MB", 100)]);
    let left = child(&client, &top, &[("SRIOV_NET_VF", 1)]);
    let right = child(&client, &top, &[("SRIOV_NET_VF", 2)]);
    let all = [top.as_str(), &left, &right];
    let two = "resources=MEMORY_MB:1&resources1=SRIOV_NET_VF:1&resources2=SRIOV_NET_VF:1";
    let isolated = ask(&client, &format!("{two}&group_policy=isolate"));
    assert_eq!(found(&isolated, &all), [[0, 1, 2], [0, 1, 2]]);
    let anywhere = ask(&client, &format!("{two}&group_policy=none"));
    assert_eq!(found(&anywhere, &all), [vec![0, 1, 2], vec![0, 1, 2], vec![0, 2]]);
    let mappings = &isolated["allocation_requests"][0]["mappings"];
    assert_eq!(mappings[""], json!([top]));
    assert_ne!(mappings["1"], mappings["2"]);
    client.get(&format!("/allocation_candidates?{two}")).expect(400);
    client.at("1.24").get(&format!("/allocation_candidates?{two}&group_policy=none")).expect(400);
    // Suffixes may be words from 1.33 on.
    let word = "resources_NET=SRIOV_NET_VF:1";
    assert_eq!(found(&ask(&client, word), &all), [[1], [2]]);
    client.at("1.32").get(&format!("/allocation_candidates?{word}")).expect(400);
}

fn groups_may_be_bound_to_a_subtree(app: TestApp) {
    let client = app.client();
    let top = client.new_stocked_provider(&[("DISK_GB", 100)]);
    let nodes = [(); 2].map(|()| child(&client, &top, &[("MEMORY_MB", 100)]));
    let cards = [0, 1].map(|node: usize| child(&client, &nodes[node], &[("SRIOV_NET_VF", 4)]));
    let all = [nodes[0].as_str(), &nodes[1], &cards[0], &cards[1]];
    let query = "resources_A=MEMORY_MB:1&resources_B=SRIOV_NET_VF:1&group_policy=none";
    assert_eq!(found(&ask(&client, query), &all).len(), 4);
    let bound = format!("{query}&same_subtree=_A,_B");
    assert_eq!(found(&ask(&client, &bound), &all), [[0, 2], [1, 3]]);
    client.at("1.35").get(&format!("/allocation_candidates?{bound}")).expect(400);
    give(&client, &top, "traits", &["HW_NUMA_ROOT"]);
    assert_eq!(found(&ask(&client, &format!("{bound}&root_required=HW_NUMA_ROOT")), &all).len(), 2);
    assert_eq!(found(&ask(&client, &format!("{bound}&root_required=!HW_NUMA_ROOT")), &all).len(), 0);
}

fn a_limit_leaves_a_part(app: TestApp) {
    let client = app.client();
    for _ in 0..3 {
        client.new_stocked_provider(&[("VCPU", 4)]);
    }
    for (limit, count) in [(1, 1), (2, 2), (5, 3)] {
        let answer = ask(&client, &format!("resources=VCPU:1&limit={limit}"));
        assert_eq!(answer["allocation_requests"].as_array().unwrap().len(), count);
        assert_eq!(answer["provider_summaries"].as_object().unwrap().len(), count);
    }
    client.at("1.15").get("/allocation_candidates?resources=VCPU:1&limit=1").expect(400);
    for limit in ["0", "-1", "x", ""] {
        client.get(&format!("/allocation_candidates?resources=VCPU:1&limit={limit}")).expect(400);
    }
}

fn the_form_changes_with_the_versions(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 4), ("DISK_GB", 4)]);
    give(&client, &provider, "traits", &["HW_CPU_X86_AVX"]);
    let path = "/allocation_candidates?resources=VCPU:1";
    client.at("1.9").get(path).expect(404);
    let at = |version: &str| client.at(version).get(path).expect(200).json();
    let list = json!([{ "resource_provider": { "uuid": provider }, "resources": { "VCPU": 1 } }]);
    for version in ["1.10", "1.11"] {
        assert_eq!(at(version)["allocation_requests"], json!([{ "allocations": list }]));
    }
    let object = json!({ &provider: { "resources": { "VCPU": 1 } } });
    for version in ["1.12", "1.33"] {
        assert_eq!(at(version)["allocation_requests"], json!([{ "allocations": object }]));
    }
    assert_eq!(at("1.34")["allocation_requests"][0]["mappings"], json!({ "": [provider] }));
    for (version, keys, classes) in
        [("1.16", 1, 1), ("1.17", 2, 1), ("1.26", 2, 1), ("1.27", 2, 2), ("1.29", 4, 2)]
    {
        let shown = at(version)["provider_summaries"][&provider].clone();
        assert_eq!(shown.as_object().unwrap().len(), keys, "{version}: {shown}");
        assert_eq!(shown["resources"].as_object().unwrap().len(), classes, "{version}: {shown}");
    }
    assert_eq!(at("1.17")["provider_summaries"][&provider]["traits"], json!(["HW_CPU_X86_AVX"]));
}

fn bad_questions_are_refused(app: TestApp) {
    for (query, words) in [
        ("", "There must be at least one resources"),
        ("resources=", ""),
        ("resources=VCPU", ""),
        ("resources=VCPU:0", ""),
        ("resources=VCPU:x", ""),
        ("resources=CUSTOM_NONE:1", "Invalid resource class in resources parameter"),
        ("resources=VCPU:1&more=1", "Invalid query string parameters"),
        ("resources=VCPU:1&member_of=a", ""),
        ("resources=VCPU:1&in_tree=a", ""),
        ("resources=VCPU:1&group_policy=some", "is not one of"),
        ("resources1=VCPU:1&same_subtree=_A", ""),
        ("resources=VCPU:1&required1=HW_CPU_X86_AVX", ""),
    ] {
        let answer = app.client().get(&format!("/allocation_candidates?{query}")).expect(400);
        assert!(answer.detail().contains(words), "{query}: {answer}");
    }
}

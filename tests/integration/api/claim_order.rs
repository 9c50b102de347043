//! Allocations are shown in the order in which a claim names them.

use serde_json::{Value, json};

use crate::support::{TestApp, allocations, claim, uuid};

on_each_database!(a_consumers_allocations_are_shown_in_the_order_of_its_claim);
on_each_database!(a_claim_on_one_provider_keeps_the_order_of_its_classes);
on_each_database!(a_providers_allocations_are_shown_in_the_order_they_were_written);

const CLASSES: [(&str, i32); 3] = [("VCPU", 1_000), ("DISK_GB", 1_000), ("MEMORY_MB", 1_000)];

fn keys(object: &Value) -> Vec<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Some orders of three things, among them none that is sorted in either direction.
const ORDERS: [[usize; 3]; 4] = [[0, 1, 2], [2, 0, 1], [1, 2, 0], [1, 0, 2]];

fn a_consumers_allocations_are_shown_in_the_order_of_its_claim(app: TestApp) {
    let client = app.client();
    let mut providers: Vec<String> = (0..3).map(|_| client.new_stocked_provider(&CLASSES)).collect();
    providers.sort_unstable();
    let consumer = uuid();
    for (round, order) in ORDERS.into_iter().enumerate() {
        let named: Vec<&str> = order.iter().map(|at| providers[*at].as_str()).collect();
        let mut body = json!({});
        for provider in &named {
            for at in order.iter().rev() {
                body[provider]["resources"][CLASSES[*at].0] = 1.into();
            }
        }
        let classes: Vec<&str> = order.iter().rev().map(|at| CLASSES[*at].0).collect();
        let generation = if round == 0 { Value::Null } else { round.into() };
        // The claim is made alone, and together with another one.
        if round % 2 == 0 {
            client.put(&format!("/allocations/{consumer}"), &claim(body, generation)).expect(204);
        } else {
            let other = claim(allocations(&providers[0], "VCPU", 1), Value::Null);
            let both = json!({ &consumer: claim(body, generation), uuid(): other });
            client.post("/allocations", &both).expect(204);
        }
        let shown = client.get(&format!("/allocations/{consumer}")).ok();
        assert_eq!(keys(&shown["allocations"]), strings(&named));
        for provider in named {
            assert_eq!(keys(&shown["allocations"][provider]["resources"]), strings(&classes));
        }
    }
}

fn a_claim_on_one_provider_keeps_the_order_of_its_classes(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&CLASSES);
    // The second time on, the project, the user and the type are known, and PostgreSQL is asked once.
    for order in ORDERS.into_iter().chain(ORDERS) {
        let classes: Vec<&str> = order.iter().map(|at| CLASSES[*at].0).collect();
        let mut body = json!({});
        for class in &classes {
            body[&provider]["resources"][*class] = 1.into();
        }
        let path = format!("/allocations/{}", uuid());
        client.put(&path, &claim(body, Value::Null)).expect(204);
        let shown = client.get(&path).ok();
        assert_eq!(keys(&shown["allocations"][&provider]["resources"]), strings(&classes));
    }
}

fn a_providers_allocations_are_shown_in_the_order_they_were_written(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&CLASSES);
    let mut consumers: Vec<String> = Vec::new();
    for round in 0..12 {
        let added: Vec<String> = (0..=round % 3).map(|_| uuid()).collect();
        let held = || {
            let mut body = allocations(&provider, "MEMORY_MB", 1);
            body[&provider]["resources"]["VCPU"] = 1.into();
            body
        };
        if let [consumer] = added.as_slice() {
            client.put(&format!("/allocations/{consumer}"), &claim(held(), Value::Null)).expect(204);
        } else {
            let all: Value =
                added.iter().map(|consumer| (consumer.clone(), claim(held(), Value::Null))).collect();
            client.post("/allocations", &all).expect(204);
        }
        consumers.extend(added);
    }
    let shown = client.get(&format!("/resource_providers/{provider}/allocations")).ok();
    assert_eq!(keys(&shown["allocations"]), consumers);
    for consumer in &consumers {
        let resources = &shown["allocations"][consumer]["resources"];
        assert_eq!(keys(resources), ["MEMORY_MB", "VCPU"], "{consumer}");
    }
}

//! Searches beside writers.

use allotment::fleet::Picture;
use serde_json::json;

use crate::support::TestApp;

on_each_database!(writers_do_not_wait_for_one_who_holds_the_picture);

/// How many of a provider's VCPUs are in use in a picture, if the provider is there.
fn used(picture: &Picture, provider: &str) -> Option<i64> {
    picture.find(provider).map(|slot| picture.provider(slot).stocks[0].used)
}

fn writers_do_not_wait_for_one_who_holds_the_picture(app: TestApp) {
    let client = app.client();
    let [claimed, deleted] = [1_000, 1].map(|total| client.new_stocked_provider(&[("VCPU", total)]));
    let held = app.fleet().read();
    for number in 1..=20 {
        client.claim_one(&claimed).expect(204);
        assert_eq!(used(&app.fleet().read(), &claimed), Some(number));
    }
    client.delete(&format!("/resource_providers/{deleted}")).expect(204);
    let added = client.new_stocked_provider(&[("VCPU", 2)]);
    client.put("/traits/CUSTOM_SEEN", &json!(null)).expect(201);
    let answer = client.get("/allocation_candidates?resources=VCPU:981").ok();
    assert_eq!(answer["allocation_requests"], json!([]), "980 are left");
    let answer = client.get("/allocation_candidates?resources=VCPU:1").ok();
    assert_eq!(answer["allocation_requests"].as_array().unwrap().len(), 2);

    assert_eq!([&claimed, &deleted, &added].map(|uuid| used(&held, uuid)), [Some(0), Some(0), None]);
    assert_eq!(held.traits().id("CUSTOM_SEEN"), None);
    let now = app.fleet().read();
    assert_eq!([&claimed, &deleted, &added].map(|uuid| used(&now, uuid)), [Some(20), None, Some(0)]);
    assert!(now.traits().id("CUSTOM_SEEN").is_some());
}

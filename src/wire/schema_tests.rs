//! Schemas and the wording of their errors.

use serde_json::json;

use super::*;
use crate::wire::microversion::{MAX, MIN, V1_13, V1_27, V1_37, V1_39};

/// A uuid in the one form that all take.
const DASHED: &str = "5a6b0b4e-9a5c-4c3a-8a38-6ab5d3f0f2b1";

#[test]
fn every_schema_loads() {
    for (file, schema) in ALL {
        assert!(schema.is_ok(), "{file}: {:?}", schema.as_ref().err());
    }
}

/// Each case is a schema, a value, how the message of Python's jsonschema 4.26 for it begins, and
/// the path that it names as the place of the error.
#[test]
fn errors_are_worded_as_in_python() {
    let cases: Vec<(String, Value, String, String)> =
        serde_json::from_str(include_str!("wording_cases.json")).unwrap();
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for (file, value, begins, place) in cases {
        let (_, schema) = ALL.iter().find(|entry| entry.0 == file).unwrap();
        let schema = schema.as_ref().unwrap();
        let message = schema.check(&value).err().map_or_else(String::new, |error| error.message);
        let place = format!("\n\nOn {place}:\n");
        if !message.starts_with(&format!("{}{begins}", schema.prefix)) || !message.contains(&place) {
            wrong.push(format!("{file} {value}\nexpected {begins}{place}got {message}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn what_fits_passes() {
    for (schema, value) in [
        (&RESOURCE_PROVIDER_POST_1_14, json!({"name": "n", "parent_provider_uuid": null})),
        (&RESOURCE_PROVIDER_POST_1_14, json!({"name": "n", "parent_provider_uuid": DASHED.to_uppercase()})),
        (&INVENTORY_POST, json!({"resource_class": "VCPU", "total": 10.0, "allocation_ratio": 1})),
        (&INVENTORIES_PUT, json!({"resource_provider_generation": 1e30, "inventories": {}})),
        (&AGGREGATES_PUT_1_1, json!([])),
        (&ALLOCATIONS_POST_1_13, json!({DASHED: {"allocations": {}, "project_id": "p", "user_id": "u"}})),
    ] {
        let schema = schema.as_ref().unwrap();
        assert!(schema.check(&value).is_ok(), "{value}");
    }
}

#[test]
fn uuids_are_taken_generously_in_bodies_and_strictly_in_queries() {
    let bare = DASHED.replace('-', "");
    for text in [&bare, &DASHED.to_uppercase(), &format!("{{{DASHED}}}"), &format!("urn:uuid:{DASHED}")] {
        assert!(is_uuid_like(text), "{text}");
    }
    for text in ["", "x", &bare[1..], &format!("{bare}0"), &format!("{}g", &bare[1..]), &format!(" {bare}")] {
        assert!(!is_uuid_like(text), "{text}");
    }
    assert!(is_dashed_uuid(DASHED) && is_dashed_uuid(&DASHED.to_uppercase()));
    for text in [&bare, &format!("{{{DASHED}}}"), &format!("urn:uuid:{DASHED}")] {
        assert!(!is_dashed_uuid(text), "{text}");
    }
}

#[test]
fn of_a_repeated_parameter_the_last_is_validated() {
    let schema = RESOURCE_PROVIDERS_QUERY_1_0.as_ref().unwrap();
    let check = |text: String| schema.check_query(&Query::parse(&text).unwrap());
    assert!(check(format!("uuid=x&uuid={DASHED}")).is_ok());
    assert!(check(format!("uuid={DASHED}&uuid=x")).is_err());
}

#[test]
fn a_version_has_the_newest_schema_that_is_not_newer() {
    let same = std::ptr::eq::<LazySchema>;
    assert!(same(allocations_put(MIN), &ALLOCATIONS_PUT_1_0));
    assert!(same(allocations_put(V1_27), &ALLOCATIONS_PUT_1_12));
    assert!(same(allocations_put(V1_28), &ALLOCATIONS_PUT_1_28));
    assert!(same(allocations_put(V1_37), &ALLOCATIONS_PUT_1_34));
    assert!(same(allocations_put(MAX), &ALLOCATIONS_PUT_1_38));
    assert!(same(resource_providers_query(V1_13), &RESOURCE_PROVIDERS_QUERY_1_4));
    assert!(same(usages_query(V1_39), &USAGES_QUERY_1_38));
}

#[test]
fn a_long_value_is_quoted_in_part() {
    let value = json!({"name": "n", "uuid": "x".repeat(1_000_000)});
    let error = RESOURCE_PROVIDER_POST_1_0.as_ref().unwrap().check(&value).unwrap_err();
    assert!(error.message.len() < 10_000);
}

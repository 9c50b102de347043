//! Tests of the JSON Schemas, and of the error messages of the validation.

use serde_json::{Value, json};

use crate::api::routes::{ROUTES, Route};
use crate::wire::microversion::{MAX, MIN, V1_13, V1_27, V1_28, V1_37, V1_39};
use crate::wire::query::Query;
use crate::wire::schema::{LazySchema, Schema};
use crate::wire::uuids::{is_dashed_uuid, is_uuid_like};

/// Returns the schema of a file in `schemas/`.
fn find(file: &str) -> &'static LazySchema {
    let is_named = |schema: &&LazySchema| schema.as_ref().is_ok_and(|schema| schema.name == file);
    ROUTES.into_iter().flat_map(Route::schemas).find(is_named).unwrap()
}

fn loaded(file: &str) -> &'static Schema {
    find(file).as_ref().unwrap()
}

/// A uuid in the spelling that bodies and query strings both accept.
const DASHED: &str = "5a6b0b4e-9a5c-4c3a-8a38-6ab5d3f0f2b1";

#[test]
fn every_schema_loads() {
    for route in ROUTES {
        for schema in route.schemas() {
            assert!(schema.is_ok(), "{route:?}: {:?}", schema.as_ref().err());
        }
    }
}

/// Each case has the schema, an invalid value, the start of the error message, and the path of the error. The
/// expected messages were taken from Python's jsonschema 4.26.
#[test]
fn errors_are_worded_as_in_python() {
    let cases: Vec<(String, Value, String, String)> =
        serde_json::from_str(include_str!("wording_cases.json")).unwrap();
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for (file, value, begins, place) in cases {
        let schema = loaded(&file);
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
        ("resource_provider_post_1_14", json!({"name": "n", "parent_provider_uuid": null})),
        ("resource_provider_post_1_14", json!({"name": "n", "parent_provider_uuid": DASHED.to_uppercase()})),
        ("inventory_post_1_0", json!({"resource_class": "VCPU", "total": 10.0, "allocation_ratio": 1})),
        ("inventories_put_1_0", json!({"resource_provider_generation": 1e30, "inventories": {}})),
        ("aggregates_put_1_1", json!([])),
        ("allocations_post_1_13", json!({DASHED: {"allocations": {}, "project_id": "p", "user_id": "u"}})),
    ] {
        assert!(loaded(schema).check(&value).is_ok(), "{value}");
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
    let schema = loaded("resource_providers_query_1_0");
    let check = |text: String| schema.check_query(&Query::parse(&text).unwrap());
    assert!(check(format!("uuid=x&uuid={DASHED}")).is_ok());
    assert!(check(format!("uuid={DASHED}&uuid=x")).is_err());
}

#[test]
fn a_version_has_the_newest_schema_that_is_not_newer() {
    let name = |method: &str, path: &str, version| {
        let route = ROUTES.into_iter().find(|route| route.method == method && route.path == path).unwrap();
        let operation = route.operation.as_ref().unwrap();
        let versions = operation.body.or(operation.query).unwrap();
        versions.at(version).as_ref().unwrap().name
    };
    let put = |version| name("PUT", "/allocations/{consumer_uuid}", version);
    assert_eq!(put(MIN), "allocations_put_1_0");
    assert_eq!(put(V1_27), "allocations_put_1_12");
    assert_eq!(put(V1_28), "allocations_put_1_28");
    assert_eq!(put(V1_37), "allocations_put_1_34");
    assert_eq!(put(MAX), "allocations_put_1_38");
    assert_eq!(name("GET", "/resource_providers", V1_13), "resource_providers_query_1_4");
    assert_eq!(name("GET", "/usages", V1_39), "usages_query_1_38");
}

#[test]
fn a_long_value_is_quoted_in_part() {
    let value = json!({"name": "n", "uuid": "x".repeat(1_000_000)});
    let error = loaded("resource_provider_post_1_0").check(&value).unwrap_err();
    assert!(error.message.len() < 10_000);
}

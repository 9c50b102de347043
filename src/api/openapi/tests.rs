//! Tests that the OpenAPI document describes all routes, fields and parameters of the service, and nothing else.

use serde_json::{Value, json};

use crate::api::openapi::words::{word_keys, words};
use crate::api::openapi::{document, schemas};
use crate::api::route::Dialect;
use crate::api::routes::{ROUTES, Route};
use crate::wire::microversion::{MAX, Microversion, V1_7, V1_10, V1_19, V1_20};

fn whole() -> Value {
    document(&ROUTES, None).unwrap()
}

fn at(version: Microversion) -> Value {
    document(&ROUTES, Some(version)).unwrap()
}

fn statuses(document: &Value, path: &str, method: &str) -> Vec<String> {
    document["paths"][path][method]["responses"].as_object().unwrap().keys().cloned().collect()
}

fn every_version() -> impl Iterator<Item = Microversion> {
    std::iter::successors(Some(MAX), |version| version.previous())
}

/// Returns the routes that the document must describe: all routes except health and metrics.
fn documentable() -> impl Iterator<Item = &'static Route> {
    ROUTES.into_iter().filter(|route| route.dialect != Dialect::Admin)
}

#[test]
fn every_route_is_documented_and_nothing_else() {
    for route in ROUTES {
        assert_eq!(route.operation.is_some(), route.dialect != Dialect::Admin, "{route:?}");
    }
    let documented =
        whole()["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap()).count();
    assert_eq!(documented, documentable().count());
}

#[test]
fn every_schema_is_used_and_all_words_too() {
    let text = every_version().map(at).chain([whole()]).map(|d| d.to_string()).collect::<String>();
    let is_named = |name: &str| text.contains(&format!("\"#/components/schemas/{name}\""));
    for name in schemas::answer_names() {
        assert!(is_named(name), "{name} is in no document");
    }
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/schemas")).unwrap() {
        let name = file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        if !name.contains("_query_") {
            assert!(is_named(&name), "{name} is in no document");
        }
        let mut used = ROUTES.into_iter().flat_map(Route::schemas);
        assert!(used.any(|used| used.as_ref().unwrap().name == name), "{name} belongs to no operation");
    }
    for key in word_keys() {
        let words = serde_json::to_string(words(&[key]).unwrap()).unwrap();
        assert!(text.contains(&words), "the words on {key} are nowhere");
    }
}

#[test]
fn all_versions_can_be_described() {
    for version in every_version() {
        let document = at(version);
        assert_eq!(document["info"]["version"], version.to_string());
        let text = document.to_string();
        assert!(!text.contains("x-openstack\":") && !text.contains(".json\"}"), "{version}");
        let shown: usize =
            document["paths"].as_object().unwrap().values().map(|p| p.as_object().unwrap().len()).sum();
        assert_eq!(shown, documentable().filter(|route| route.since <= version).count(), "{version}");
    }
}

#[test]
fn references_lead_somewhere() {
    fn check(document: &Value, part: &Value) {
        match part {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref") {
                    let place = reference.as_str().unwrap().strip_prefix('#').unwrap();
                    assert!(document.pointer(place).is_some(), "{place}");
                }
                members.values().for_each(|member| check(document, member));
            }
            Value::Array(items) => items.iter().for_each(|item| check(document, item)),
            _ => {}
        }
    }
    for document in every_version().map(at).chain([whole()]) {
        check(&document, &document);
    }
}

#[test]
fn a_body_that_has_changed_is_a_choice_by_version() {
    let document = whole();
    let body = &document["paths"]["/allocations/{consumer_uuid}"]["put"]["requestBody"];
    let schema = &body["content"]["application/json"]["schema"];
    assert_eq!(schema["x-openstack"], json!({"discriminator": "microversion"}));
    let branches: Vec<&str> =
        schema["oneOf"].as_array().unwrap().iter().map(|branch| branch["$ref"].as_str().unwrap()).collect();
    assert_eq!(branches.len(), 6);
    let extension =
        |branch: &str| document.pointer(branch.strip_prefix('#').unwrap()).unwrap()["x-openstack"].clone();
    assert_eq!(extension(branches[0]), json!({"min-ver": "1.0", "max-ver": "1.7"}));
    assert_eq!(extension(branches[2]), json!({"min-ver": "1.12", "max-ver": "1.27"}));
    assert_eq!(extension(branches[5]), json!({"min-ver": "1.38"}));
}

#[test]
fn statuses_come_and_go_with_versions() {
    let post = |version| statuses(&at(version), "/resource_providers", "post");
    assert!(post(V1_19).contains(&"201".to_owned()) && !post(V1_19).contains(&"200".to_owned()));
    assert!(post(V1_20).contains(&"200".to_owned()) && !post(V1_20).contains(&"201".to_owned()));
    let class = |version: Option<Microversion>| {
        document(&ROUTES, version).unwrap()["paths"][RESOURCE_CLASS]["put"].clone()
    };
    assert!(class(Some(V1_7)).get("requestBody").is_none());
    assert_eq!(class(None)["requestBody"]["x-openstack"], json!({"min-ver": "1.2", "max-ver": "1.6"}));
    assert_eq!(class(None)["requestBody"]["required"], false);
    assert_eq!(class(None)["responses"]["201"]["x-openstack"], json!({"min-ver": "1.7"}));
    assert!(
        statuses(&whole(), "/resource_providers/{uuid}/inventories", "delete").contains(&"405".to_owned())
    );
}

const RESOURCE_CLASS: &str = "/resource_classes/{name}";

#[test]
fn parameters_come_with_versions() {
    let parameter = |document: &Value, name: &str| {
        let list =
            document["paths"]["/allocation_candidates"]["get"]["parameters"].as_array().unwrap().clone();
        list.into_iter().find(|parameter| parameter["name"] == name)
    };
    let all = whole();
    assert_eq!(parameter(&all, "limit").unwrap()["x-openstack"], json!({"min-ver": "1.16"}));
    assert_eq!(parameter(&all, "resources").unwrap()["required"], false);
    let groups = parameter(&all, "groups").unwrap();
    assert_eq!(groups["schema"]["oneOf"][0]["x-openstack"], json!({"min-ver": "1.25", "max-ver": "1.30"}));
    let old = at(V1_10);
    assert_eq!(parameter(&old, "resources").unwrap()["required"], true);
    assert!(parameter(&old, "limit").is_none());
}

#[test]
fn an_operation_names_its_error_codes() {
    let document = at(MAX);
    let conflict = &document["paths"]["/resource_providers/{uuid}"]["delete"]["responses"]["409"];
    let schema = &conflict["content"]["application/json"]["schema"];
    assert_eq!(
        schema["properties"]["errors"]["items"]["properties"]["code"]["enum"],
        json!([
            "placement.concurrent_update",
            "placement.waitlist.not_active",
            "placement.resource_provider.inuse",
            "placement.resource_provider.cannot_delete_parent"
        ])
    );
}

#[test]
fn what_is_open_asks_for_no_token() {
    let document = whole();
    for route in documentable() {
        let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
        assert_eq!(operation.get("security").is_some(), route.rule.is_none(), "{route:?}");
        assert_eq!(operation["responses"].get("401").is_some(), route.rule.is_some(), "{route:?}");
    }
}

//! A test that docs/configuration.md lists each setting with its default.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::settings::Settings;

const PAGE: &str = include_str!("../../docs/configuration.md");

/// Adds the settings of a table to `found`, with full keys such as `limits.body_bytes`.
fn flattened(prefix: &str, table: &Map<String, Value>, found: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            Value::Object(table) => flattened(&format!("{key}."), table, found),
            value => drop(found.insert(key, value.clone())),
        }
    }
}

/// Returns the defaults of all settings in the code, by key. An absent setting, an empty text and an empty list
/// are all represented by null.
fn defaults() -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let settings = serde_json::to_value(Settings::default()).unwrap();
    flattened("", settings.as_object().unwrap(), &mut found);
    for value in found.values_mut() {
        if value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty) {
            *value = Value::Null;
        }
    }
    found
}

/// Returns the defaults in docs/configuration.md. The rows of settings have a key in the first cell. The second
/// cell is `none`, or a value in backticks with an optional explanation.
fn documented() -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for row in PAGE.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (key, rest) = row.split_once("` | ").unwrap();
        // The table of environment variables has only two columns, and its rows are skipped.
        let Some((default, meaning)) = rest.split_once(" | ") else { continue };
        assert!(meaning.len() > 2, "{key} has no meaning");
        let value = match default.strip_prefix('`').and_then(|code| code.split_once('`')) {
            Some((code, _)) => {
                serde_json::from_str(code).unwrap_or_else(|error| panic!("{key}: {code}: {error}"))
            }
            None if default.starts_with("none") => Value::Null,
            None => panic!("{key}: {default} is neither none nor a value"),
        };
        assert_eq!(found.insert(key.to_owned(), value), None, "{key} is there twice");
    }
    found
}

#[test]
fn each_setting_is_on_the_page_with_its_default() {
    let (defaults, documented) = (defaults(), documented());
    assert!(defaults.contains_key("auth.keystone.auth_url") && defaults["limits.body_bytes"] == 4_194_304);
    for (key, default) in &defaults {
        let Some(told) = documented.get(key) else { panic!("docs/configuration.md has no row for {key}") };
        assert_eq!(told, default, "docs/configuration.md has another default of {key}");
    }
    for key in documented.keys() {
        assert!(defaults.contains_key(key), "docs/configuration.md has a row for {key}, which is no setting");
    }
}

//! The descriptions of fields and parameters in the OpenAPI document.

use std::sync::LazyLock;

use serde_json::{Map, Value};

/// The descriptions by name (`uuid`), by name within a schema (`usages.uuid`), or by name within a path.
static WORDS: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("schemas/words.json")).unwrap_or_default());

/// Returns the description of the first key that has a description.
pub(crate) fn words(keys: &[&str]) -> Option<&'static str> {
    keys.iter().find_map(|key| WORDS.get(*key)?.as_str())
}

#[cfg(test)]
pub(crate) fn word_keys() -> impl Iterator<Item = &'static String> {
    WORDS.keys()
}

//! Descriptions of fields and parameters.

use std::sync::LazyLock;

use serde_json::{Map, Value};

/// The descriptions by name, or by name within a schema or path.
static WORDS: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("schemas/words.json")).unwrap_or_default());

/// The description under the first of several keys that has one.
pub(crate) fn words(keys: &[&str]) -> Option<&'static str> {
    keys.iter().find_map(|key| WORDS.get(*key)?.as_str())
}

#[cfg(test)]
pub(crate) fn word_keys() -> impl Iterator<Item = &'static String> {
    WORDS.keys()
}

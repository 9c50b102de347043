//! The descriptions of fields and parameters in the OpenAPI document.

use std::sync::LazyLock;

use serde_json::{Map, Value};

/// The descriptions of fields and parameters. The key is a name (`uuid`), a name within a schema (`usages.uuid`), or
/// a name within a path (`path.uuid`).
static WORDS: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("schemas/words.json")).unwrap_or_default());

/// Returns the description of a field. `keys` are possible keys of the description, from specific to general, such
/// as `usages.uuid` and `uuid`. The first key that has a description counts.
pub(crate) fn words(keys: &[&str]) -> Option<&'static str> {
    keys.iter().find_map(|key| WORDS.get(*key)?.as_str())
}

#[cfg(test)]
pub(crate) fn word_keys() -> impl Iterator<Item = &'static String> {
    WORDS.keys()
}

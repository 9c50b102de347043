//! Reads settings from environment variables, and reports misspelt variables.

use std::env;

use serde_json::Value as Json;
use toml::{Table, Value};

use super::error::Error;
use super::settings::Settings;
use super::values;
use crate::auth::keystone;

/// The prefix of all environment variables of allotment. Two underscores separate a table from a key:
/// `ALLOTMENT_LIMITS__BODY_BYTES`.
pub const ENV_PREFIX: &str = "ALLOTMENT_";

/// The separator between a table and a key.
const SEPARATOR: &str = "__";

/// Variables that are no settings, without their prefix. `allotment lock` reads `TOKEN`, and sets `TICKET`,
/// `TICKETS` and `FENCE` for the command that it runs. The tests set `BIN`. Variables that begin with `TEST_` are
/// no settings either.
const OTHER_VARIABLES: [&str; 5] = ["TOKEN", "TICKET", "TICKETS", "FENCE", "BIN"];

/// The number of differing letters from which on two names are not similar. A message about an unknown variable
/// suggests a setting only if fewer letters differ.
const TOO_FAR: usize = 3;

/// The kind of an environment variable with the prefix.
#[derive(Debug, PartialEq, Eq)]
enum Variable {
    /// The value of a setting.
    Setting,
    /// A variable that allotment uses, but not as a setting.
    Other,
    /// A variable of another program. Kubernetes adds such variables to each container if a Service is named
    /// `allotment`.
    Unknown,
    /// A variable that looks like a setting but names no existing setting.
    Misspelt,
}

/// The environment variables of all settings, without the prefix.
#[derive(Debug, Default)]
struct Known {
    names: Vec<String>,
    /// The variables of settings whose value is a list.
    lists: Vec<String>,
}

/// Adds the settings from environment variables to `table`. Logs unknown variables. A variable that looks like a
/// setting but names no existing setting is an error.
pub(super) fn add_to(table: &mut Table) -> Result<(), Error> {
    let known = known();
    let mut unknown = Vec::new();
    for (name, value) in env::vars_os() {
        let Some(name) = name.to_str().map(str::to_ascii_uppercase) else {
            continue;
        };
        let Some(key) = name.strip_prefix(ENV_PREFIX) else {
            continue;
        };
        match classify(key, &known.names) {
            Variable::Setting => {
                let path = key.to_ascii_lowercase();
                let path: Vec<_> = path.split(SEPARATOR).collect();
                values::set(table, &path, value_of(key, &value.to_string_lossy(), &known));
            }
            Variable::Other => {}
            Variable::Unknown => unknown.push(described(key, &known.names)),
            Variable::Misspelt => return Err(Error::Value(complaint(key, &known.names))),
        }
    }
    if !unknown.is_empty() {
        unknown.sort();
        log::warn!("these environment variables are no settings and are not read: {}", unknown.join(", "));
    }
    Ok(())
}

/// Converts the text of a variable into the value of its setting. A text for Keystone (OpenStack's identity
/// service) is never parsed as a number or a list, since a user id may consist of digits, and a password may
/// contain brackets.
fn value_of(key: &str, text: &str, known: &Known) -> Value {
    let of_keystone = key.strip_prefix("AUTH__KEYSTONE__").map(str::to_ascii_lowercase);
    if of_keystone.is_some_and(|key| keystone::TEXT_KEYS.contains(&key.as_str())) {
        return Value::String(text.to_owned());
    }
    match parts(text) {
        Some(parts) if known.lists.iter().any(|list| list == key) => {
            Value::Array(parts.into_iter().map(Value::String).collect())
        }
        _ => parse(text.trim()),
    }
}

/// Parses a value as TOML, but texts need no quotes: `info`, `10`, `["a", "b"]` and `[a, b]` are valid.
fn parse(text: &str) -> Value {
    let list = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_toml = list.is_some() || text.starts_with('"');
    if is_toml && let Some(value) = toml_value(text) {
        return value;
    }
    if let Some(list) = list {
        let elements = list.split(',').map(str::trim).filter(|element| !element.is_empty());
        return Value::Array(elements.map(parse).collect());
    }
    let number = || text.parse().map(Value::Integer).ok();
    let fraction = || text.contains('.').then(|| text.parse().map(Value::Float).ok()).flatten();
    let truth = || text.parse().map(Value::Boolean).ok();
    number().or_else(fraction).or_else(truth).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn toml_value(text: &str) -> Option<Value> {
    format!("value = {text}").parse::<Table>().ok()?.remove("value")
}

/// Splits a list such as `a, b` at its commas. Returns None for a text that begins with a bracket. Such a text is
/// parsed as TOML instead.
fn parts(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
    (!text.starts_with('[')).then(|| parts().map(str::to_owned).collect())
}

fn known() -> Known {
    let mut known = Known::default();
    // Every setting has a JSON form, so the conversion does not fail.
    if let Ok(defaults) = serde_json::to_value(Settings::default()) {
        collect(&defaults, String::new(), &mut known);
    }
    known
}

fn collect(value: &Json, key: String, known: &mut Known) {
    let Json::Object(table) = value else {
        if value.is_array() {
            known.lists.push(key.clone());
        }
        known.names.push(key);
        return;
    };
    for (name, value) in table {
        let name = name.to_ascii_uppercase();
        let key = if key.is_empty() { name } else { format!("{key}{SEPARATOR}{name}") };
        collect(value, key, known);
    }
}

fn classify(key: &str, known: &[String]) -> Variable {
    if known.iter().any(|known| known == key) {
        Variable::Setting
    } else if OTHER_VARIABLES.contains(&key) || key.starts_with("TEST_") {
        Variable::Other
    } else if is_table(key, known) || (has_our_form(key) && !is_of_kubernetes(key)) {
        Variable::Misspelt
    } else {
        Variable::Unknown
    }
}

fn is_table(key: &str, known: &[String]) -> bool {
    known.iter().any(|known| known.strip_prefix(key).is_some_and(|rest| rest.starts_with(SEPARATOR)))
}

/// Returns true for a name in the form of a setting, with a table and a key, such as `LIMITS__BODY`. The setting
/// need not exist.
fn has_our_form(key: &str) -> bool {
    key.split_once(SEPARATOR).is_some_and(|(table, key)| !table.is_empty() && !key.is_empty())
}

/// Returns true for a name such as `API__V2_SERVICE_HOST`, which Kubernetes makes for a Service. Kubernetes
/// replaces hyphens by underscores, so the name of a Service may lead to two underscores in a row.
fn is_of_kubernetes(key: &str) -> bool {
    let ports = ["_TCP", "_UDP", "_SCTP", "_PROTO", "_PORT", "_ADDR"];
    let is_port = key.contains("_PORT_") && ports.iter().any(|end| key.ends_with(end));
    is_port
        || ["_PORT", "_SERVICE_HOST"].iter().any(|end| key.ends_with(end))
        || key.contains("_SERVICE_PORT_")
}

/// Returns the error message for a misspelt setting. The message does not contain the value, since the value may
/// be a password.
fn complaint(key: &str, known: &[String]) -> String {
    let name = format!("the environment variable {ENV_PREFIX}{key}");
    if is_table(key, known) {
        let start = format!("{key}{SEPARATOR}");
        let keys: Vec<_> = known
            .iter()
            .filter(|known| known.starts_with(&start))
            .map(|known| format!("{ENV_PREFIX}{known}"))
            .collect();
        return format!("{name} is that of a table, whose keys are {}", keys.join(", "));
    }
    match nearest(key, known) {
        Some((near, _)) => format!("{name} is no setting; the nearest is {ENV_PREFIX}{near}"),
        None => format!("{name} is no setting"),
    }
}

/// Returns the name of a variable, and the name of a similar setting if there is one.
fn described(key: &str, known: &[String]) -> String {
    match nearest(key, known) {
        Some((near, distance)) if distance < TOO_FAR => {
            format!("{ENV_PREFIX}{key} (is {ENV_PREFIX}{near} meant?)")
        }
        _ => format!("{ENV_PREFIX}{key}"),
    }
}

/// Returns the setting with the most similar name, and the number of differing letters.
fn nearest<'a>(key: &str, known: &'a [String]) -> Option<(&'a str, usize)> {
    let distances = known.iter().map(|known| (known.as_str(), strsim::osa_distance(key, known)));
    distances.min_by_key(|(_, distance)| *distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_known() {
        let known = known().names;
        for key in [
            "LISTEN",
            "WORKERS",
            "DATABASE__URL",
            "AUTH__KEYSTONE__PASSWORD",
            "TLS__CERT",
            "LIMITS__BODY_BYTES",
        ] {
            assert_eq!(classify(key, &known), Variable::Setting, "{key}");
        }
    }

    #[test]
    fn lists_may_be_written_with_commas() {
        assert!(known().lists.contains(&"TRUSTED_PROXIES".to_owned()));
        assert!(known().lists.contains(&"CORS__ALLOWED_ORIGINS".to_owned()));
        assert!(!known().lists.contains(&"LISTEN".to_owned()));
        let own = |list: &[&str]| Some(list.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_eq!(parts("10.0.0.0/8"), own(&["10.0.0.0/8"]));
        assert_eq!(parts(" 10.0.0.0/8, ::1,"), own(&["10.0.0.0/8", "::1"]));
        assert_eq!(parts(""), own(&[]));
        assert_eq!(parts(r#"["10.0.0.0/8"]"#), None);
    }

    #[test]
    fn texts_need_no_quotes() {
        let text = |text: &str| Value::String(text.to_owned());
        for (written, value) in [
            ("", text("")),
            ("sqlite:a.db?x=1", text("sqlite:a.db?x=1")),
            ("127.0.0.1:80", text("127.0.0.1:80")),
            ("7", Value::Integer(7)),
            ("-7", Value::Integer(-7)),
            ("0.5", Value::Float(0.5)),
            ("true", Value::Boolean(true)),
            ("True", text("True")),
            (r#""7""#, text("7")),
            (r#""a"b"#, text(r#""a"b"#)),
            ("[", text("[")),
            ("[]", Value::Array(vec![])),
            (r#"[ a, "b", 3 ]"#, Value::Array(vec![text("a"), text("b"), Value::Integer(3)])),
            (r#"["a,b"]"#, Value::Array(vec![text("a,b")])),
        ] {
            assert_eq!(parse(written), value, "{written}");
        }
    }

    #[test]
    fn texts_for_keystone_are_taken_as_they_are() {
        let known = known();
        let of = |key, text| value_of(key, text, &known);
        assert_eq!(of("AUTH__KEYSTONE__PASSWORD", " [7] "), Value::String(" [7] ".to_owned()));
        assert_eq!(of("AUTH__KEYSTONE__CACHE_SIZE", " 7 "), Value::Integer(7));
        assert_eq!(
            of("AUTH__KEYSTONE__SERVICE_TOKEN_ROLES", "a,b"),
            Value::Array(vec![Value::String("a".to_owned()), Value::String("b".to_owned())])
        );
    }

    #[test]
    fn what_kubernetes_puts_there_is_not_for_us() {
        let known = known().names;
        for key in [
            "PORT",
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_HTTP",
            "PORT_8778_TCP",
            "PORT_8778_TCP_PROTO",
            "PORT_8778_TCP_PORT",
            "PORT_8778_TCP_ADDR",
            "DATABASE_PORT",
            "DATABASE_SERVICE_HOST",
            "_CANARY_SERVICE_HOST",
            "A__B_SERVICE_PORT_HTTP",
            "A__B_PORT_8778_TCP_ADDR",
            "A__B_PORT",
            "LISEN",
            "",
            "_",
            "__",
        ] {
            assert_eq!(classify(key, &known), Variable::Unknown, "{key}");
        }
        for key in ["TOKEN", "TICKET", "TEST_X"] {
            assert_eq!(classify(key, &known), Variable::Other, "{key}");
        }
    }

    #[test]
    fn slips_are_told_with_the_name_that_was_meant() {
        let known = known().names;
        for (key, words) in [
            (
                "DATABASE__URLL",
                "ALLOTMENT_DATABASE__URLL is no setting; the nearest is ALLOTMENT_DATABASE__URL",
            ),
            ("DATBASE__URL", "the nearest is ALLOTMENT_DATABASE__URL"),
            ("AUTH__KEYSTONE_PASSWORD", "the nearest is ALLOTMENT_AUTH__KEYSTONE__PASSWORD"),
            ("LISTEN__ADDRESS", "the nearest is "),
            ("DATABASE", "is that of a table, whose keys are ALLOTMENT_DATABASE__"),
            ("AUTH__KEYSTONE", "is that of a table, whose keys are ALLOTMENT_AUTH__KEYSTONE__"),
        ] {
            assert_eq!(classify(key, &known), Variable::Misspelt, "{key}");
            assert!(complaint(key, &known).contains(words), "{}", complaint(key, &known));
        }
        assert_eq!(described("LISEN", &known), "ALLOTMENT_LISEN (is ALLOTMENT_LISTEN meant?)");
        assert_eq!(described("SERVICE_HOST", &known), "ALLOTMENT_SERVICE_HOST");
    }
}

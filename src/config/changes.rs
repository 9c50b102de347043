//! Compares newly read settings with the settings in use.

use serde_json::Value;

use super::settings::Settings;

impl Settings {
    /// Returns the keys, such as `database.url`, of the changed settings that take effect only at the next start.
    /// The values are not returned, since a value may be a password.
    #[must_use]
    pub fn changes_for_the_next_start(&self, fresh: &Settings) -> Vec<String> {
        let mut keys = Vec::new();
        // Every setting has a JSON form, so the conversion does not fail.
        let (Ok(before), Ok(after)) = (serde_json::to_value(self), serde_json::to_value(fresh)) else {
            return keys;
        };
        compare("", &before, &after, &mut keys);
        // At SIGHUP, the service applies the changed settings of the log and the certificate files of a changed `tls`.
        // Only a restart can turn TLS on or off. So the keys of `tls` are kept only if TLS was turned on or off.
        let same_kind = self.tls.files().is_some() == fresh.tls.files().is_some();
        let is_applied = |key: &str| {
            ["log", "log_format", "log_file"].contains(&key) || (same_kind && key.starts_with("tls."))
        };
        keys.retain(|key| !is_applied(key));
        keys
    }
}

fn compare(key: &str, before: &Value, after: &Value, keys: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                compare(&key, value, after.get(name).unwrap_or(&Value::Null), keys);
            }
        }
        _ if before != after => keys.push(key.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_a_start_is_told() {
        let before = Settings::default();
        let mut after = before.clone();
        after.log = Some("debug".to_owned());
        after.log_file = Some("a".into());
        assert!(before.changes_for_the_next_start(&after).is_empty());
        after.database.url = "sqlite:other.db".to_owned();
        after.workers = Some(3);
        assert_eq!(before.changes_for_the_next_start(&after), ["workers", "database.url"]);
    }

    #[test]
    fn other_files_for_tls_need_no_start_but_tls_does() {
        let plain = Settings::default();
        let mut one = plain.clone();
        one.tls.cert = Some("a".into());
        one.tls.key = Some("b".into());
        let mut other = one.clone();
        other.tls.cert = Some("c".into());
        assert!(one.changes_for_the_next_start(&other).is_empty());
        assert_eq!(plain.changes_for_the_next_start(&one), ["tls.cert", "tls.key"]);
    }
}

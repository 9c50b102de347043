//! The credentials with which the service gets its own token from Keystone.

use std::fmt;

use serde_json::{Value, json};

use super::settings::{Secret, Settings};
use crate::setting::Unusable;

/// The JSON body of `POST /v3/auth/tokens`. The body contains a secret, so `Debug` does not print it.
#[derive(Clone)]
pub(super) struct Credentials {
    body: Value,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    /// Builds the body from the settings. The error names the setting that is missing or not allowed.
    pub fn new(settings: &Settings) -> Result<Self, Unusable> {
        let secret = filled_secret(settings.application_credential_secret.as_ref());
        let (method, who, scope) = match secret {
            Some(secret) => ("application_credential", application_credential(settings, secret)?, None),
            None => ("password", password(settings)?, Some(scope(settings)?)),
        };
        let mut auth = json!({"identity": {"methods": [method], method: who}});
        if let Some(scope) = scope {
            auth["scope"] = scope;
        }
        Ok(Self { body: json!({ "auth": auth }) })
    }

    /// Returns the JSON body to send.
    pub fn body(&self) -> &Value {
        &self.body
    }
}

fn application_credential(settings: &Settings, secret: &str) -> Result<Value, Unusable> {
    if filled_secret(settings.password.as_ref()).is_some() {
        return lacking(
            "auth.keystone.password",
            "there is an application credential, too: remove one of them",
        );
    }
    for (key, value) in [
        ("auth.keystone.project_name", &settings.project_name),
        ("auth.keystone.project_id", &settings.project_id),
        ("auth.keystone.system_scope", &settings.system_scope),
    ] {
        if filled(value).is_some() {
            return lacking(key, "an application credential brings its own project");
        }
    }
    match (filled(&settings.application_credential_id), filled(&settings.application_credential_name)) {
        (Some(id), _) => Ok(json!({"id": id, "secret": secret})),
        (None, Some(name)) => Ok(json!({"name": name, "secret": secret, "user": user(settings)?})),
        (None, None) => lacking("auth.keystone.application_credential_id", "is needed with the secret"),
    }
}

fn password(settings: &Settings) -> Result<Value, Unusable> {
    if filled(&settings.application_credential_id).or(filled(&settings.application_credential_name)).is_some()
    {
        return lacking("auth.keystone.application_credential_secret", "is needed with the credential");
    }
    let mut user = user(settings)?;
    match filled_secret(settings.password.as_ref()) {
        Some(password) => user["password"] = password.into(),
        None => return lacking("auth.keystone.password", "is needed, or an application credential"),
    }
    Ok(json!({ "user": user }))
}

fn user(settings: &Settings) -> Result<Value, Unusable> {
    match (filled(&settings.user_id), filled(&settings.username)) {
        (Some(id), None) => Ok(json!({ "id": id })),
        (None, Some(name)) => {
            let domain = domain(&settings.user_domain_id, &settings.user_domain_name);
            Ok(json!({"name": name, "domain": domain}))
        }
        (Some(_), Some(_)) => {
            lacking("auth.keystone.username", "there is a user_id, too: remove one of them")
        }
        (None, None) => lacking("auth.keystone.username", "is needed, or an application credential"),
    }
}

fn scope(settings: &Settings) -> Result<Value, Unusable> {
    let system = filled(&settings.system_scope);
    match (system, filled(&settings.project_id), filled(&settings.project_name)) {
        (Some("all"), None, None) => Ok(json!({"system": {"all": true}})),
        (None, Some(id), None) => Ok(json!({"project": {"id": id}})),
        (None, None, Some(name)) => {
            let domain = domain(&settings.project_domain_id, &settings.project_domain_name);
            Ok(json!({"project": {"name": name, "domain": domain}}))
        }
        (None, None, None) => lacking("auth.keystone.project_name", "is needed, or system_scope"),
        (Some("all") | None, _, _) => lacking(
            "auth.keystone.project_name",
            "only one of project_name, project_id and system_scope is allowed",
        ),
        (Some(_), _, _) => lacking("auth.keystone.system_scope", "must be all"),
    }
}

fn domain(id: &Option<String>, name: &Option<String>) -> Value {
    match filled(id) {
        Some(id) => json!({ "id": id }),
        None => json!({"name": filled(name).unwrap_or("Default")}),
    }
}

/// Returns the text, or `None` if the text is empty, because an empty environment variable counts as not set.
fn filled(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|text| !text.is_empty())
}

fn filled_secret(value: Option<&Secret>) -> Option<&str> {
    value.map(Secret::reveal).filter(|text| !text.is_empty())
}

fn lacking<T>(key: &'static str, problem: &str) -> Result<T, Unusable> {
    Err(Unusable { key, problem: problem.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn by_password() -> Settings {
        Settings {
            username: text("placement"),
            password: Some("hush".into()),
            project_name: text("service"),
            ..Settings::default()
        }
    }

    fn auth(settings: &Settings) -> Value {
        Credentials::new(settings).unwrap().body()["auth"].clone()
    }

    #[test]
    fn a_password_is_sent_with_a_scope() {
        let default = json!({"name": "Default"});
        assert_eq!(
            auth(&by_password()),
            json!({
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {"name": "placement", "domain": default, "password": "hush"}},
                },
                "scope": {"project": {"name": "service", "domain": default}},
            })
        );
        let by_ids = Settings {
            username: None,
            user_id: text("u"),
            project_name: text(""),
            project_id: text("p"),
            ..by_password()
        };
        assert_eq!(auth(&by_ids)["identity"]["password"]["user"], json!({"id": "u", "password": "hush"}));
        assert_eq!(auth(&by_ids)["scope"], json!({"project": {"id": "p"}}));
        let on_system = Settings {
            project_name: None,
            system_scope: text("all"),
            user_domain_id: text("d"),
            user_domain_name: text("ignored"),
            ..by_password()
        };
        assert_eq!(auth(&on_system)["scope"], json!({"system": {"all": true}}));
        assert_eq!(auth(&on_system)["identity"]["password"]["user"]["domain"], json!({"id": "d"}));
    }

    #[test]
    fn an_application_credential_has_no_scope() {
        let by_id = Settings {
            application_credential_id: text("c"),
            application_credential_secret: Some("hush".into()),
            ..Settings::default()
        };
        let method = "application_credential";
        assert_eq!(
            auth(&by_id),
            json!({"identity": {"methods": [method], method: {"id": "c", "secret": "hush"}}})
        );
        let by_name = Settings {
            application_credential_id: None,
            application_credential_name: text("n"),
            user_id: text("u"),
            ..by_id
        };
        assert_eq!(
            auth(&by_name)["identity"][method],
            json!({"name": "n", "secret": "hush", "user": {"id": "u"}})
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let credential = Settings { application_credential_secret: Some("s".into()), ..Settings::default() };
        for (settings, key) in [
            (Settings::default(), "username"),
            (Settings { password: None, ..by_password() }, "password"),
            (Settings { password: Some("".into()), ..by_password() }, "password"),
            (Settings { project_name: None, ..by_password() }, "project_name"),
            (Settings { user_id: text("u"), ..by_password() }, "username"),
            (Settings { system_scope: text("all"), ..by_password() }, "project_name"),
            (Settings { system_scope: text("some"), ..by_password() }, "system_scope"),
            (
                Settings { application_credential_id: text("c"), ..by_password() },
                "application_credential_secret",
            ),
            (Settings { application_credential_secret: Some("s".into()), ..by_password() }, "password"),
            (credential.clone(), "application_credential_id"),
            (Settings { project_id: text("p"), ..credential.clone() }, "project_id"),
            (Settings { application_credential_name: text("n"), ..credential }, "username"),
        ] {
            let wrong = Credentials::new(&settings).unwrap_err();
            assert_eq!(wrong.key, format!("auth.keystone.{key}"), "{wrong}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = Settings { application_credential_secret: Some("hush2".into()), ..by_password() };
        let credentials = Credentials::new(&by_password()).unwrap();
        let shown = format!("{settings:?} {credentials:?}");
        assert!(!shown.contains("hush") && shown.contains("placement"), "{shown}");
    }
}

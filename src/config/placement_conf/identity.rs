//! Translates the options about Keystone: the credentials of the service, and the options whose values differ here.

use toml::Value;

use super::import::Import;
use super::options::{Fate, Opt};
use super::source::{Given, Source};
use super::table::{self, PLUGIN};
use crate::config::error::Error;

const SECTION: &str = "keystone_authtoken";

/// The names of the plugin for an application credential, and of those for a password.
const CREDENTIAL: &str = "v3applicationcredential";
const PASSWORD: [&str; 2] = ["password", "v3password"];

/// Translates the options of the section `keystone_authtoken`, and those of the section that `auth_section` names.
pub(super) fn translate(source: &Source, into: &mut Import) -> Result<(), Error> {
    let get = |name| match table::find(SECTION, name) {
        Some(option) => source.get(option),
        None => Ok(None),
    };
    if let Some(given) = get("interface")? {
        // The endpoint may be written as in Keystone's former API: `internalURL`.
        let word = given.value.as_str().unwrap_or_default();
        let word = word.strip_suffix("URL").unwrap_or(word).to_owned();
        into.set("auth.keystone.interface", given.with(Value::String(word)));
    }
    if let Some(given) = get("token_cache_time")? {
        // Less than 0 turns the cache off.
        into.set("auth.keystone.cache_seconds", given.with(Value::Integer(given.integer().max(0))));
    }
    let section = get("auth_section")?.and_then(|given| given.value.as_str().map(str::to_owned));
    credentials(source, section.as_deref().unwrap_or(SECTION), into)
}

fn credentials(source: &Source, section: &str, into: &mut Import) -> Result<(), Error> {
    let get = |option: &Opt| {
        let places = option.places();
        let places: Vec<_> = places.iter().map(|(_, name)| (section, *name)).collect();
        source.get_at(option, &places)
    };
    let named = |name: &str| match table::find(SECTION, name) {
        Some(option) => get(option),
        None => Ok(None),
    };
    let plugin = named("auth_type")?;
    let is_credential = match &plugin {
        Some(given) if given.value.as_str() == Some(CREDENTIAL) => true,
        Some(given) if !PASSWORD.iter().any(|plugin| given.value.as_str() == Some(plugin)) => {
            let problem = format!("must be one of {}, {CREDENTIAL}", PASSWORD.join(", "));
            return Err(given.origin.error(&problem));
        }
        _ => false,
    };
    let has_id = named("application_credential_id")?.is_some();
    for option in PLUGIN {
        let Some(given) = get(option)? else { continue };
        into.know(&given.origin);
        if let (Fate::Remark(why), false) = (option.fate, section == SECTION) {
            into.remark(&given.origin, &format!("is not honoured: {why}"));
        }
        if let Some(key) = counterpart(option.name, is_credential, has_id) {
            into.set(key, given);
        }
    }
    if !is_credential {
        default_domains(&named, into)?;
    }
    Ok(())
}

/// Returns the setting for an option of a plugin. Returns None if the plugin does not use the option: an application
/// credential brings its own project, and its id says whose it is.
fn counterpart(name: &str, is_credential: bool, has_id: bool) -> Option<&'static str> {
    let is_of_credential = name.starts_with("application_credential_");
    let is_of_user = name.starts_with("user");
    let is_used = match name {
        "auth_url" => true,
        _ if is_credential => is_of_credential || (is_of_user && !has_id),
        _ => !is_of_credential,
    };
    KEYS.iter().find(|(known, _)| *known == name && is_used).map(|(_, key)| *key)
}

const KEYS: [(&str, &str); 14] = [
    ("auth_url", "auth.keystone.auth_url"),
    ("username", "auth.keystone.username"),
    ("user_id", "auth.keystone.user_id"),
    ("user_domain_name", "auth.keystone.user_domain_name"),
    ("user_domain_id", "auth.keystone.user_domain_id"),
    ("password", "auth.keystone.password"),
    ("project_name", "auth.keystone.project_name"),
    ("project_id", "auth.keystone.project_id"),
    ("project_domain_name", "auth.keystone.project_domain_name"),
    ("project_domain_id", "auth.keystone.project_domain_id"),
    ("system_scope", "auth.keystone.system_scope"),
    ("application_credential_id", "auth.keystone.application_credential_id"),
    ("application_credential_name", "auth.keystone.application_credential_name"),
    ("application_credential_secret", "auth.keystone.application_credential_secret"),
];

/// Sets the domain of the user and of the project where no domain of their own is given.
fn default_domains(
    named: &dyn Fn(&str) -> Result<Option<Given>, Error>,
    into: &mut Import,
) -> Result<(), Error> {
    for (name, end) in [("default_domain_id", "id"), ("default_domain_name", "name")] {
        let Some(given) = named(name)? else { continue };
        for whose in ["user", "project"] {
            let has_own = into.has(&format!("auth.keystone.{whose}_domain_id"))
                || into.has(&format!("auth.keystone.{whose}_domain_name"));
            if !has_own {
                into.set(&format!("auth.keystone.{whose}_domain_{end}"), given.clone());
            }
        }
    }
    Ok(())
}

//! Translates the options that are honoured together with others: the database, the log, the proxies, the policy file.

use std::path::{Path, PathBuf};

use toml::Value;

use super::files::directory_of;
use super::import::Import;
use super::source::{Given, Source};
use super::table;
use crate::config::error::Error;

/// The level of the log with `debug = true`. The libraries stay at their usual level.
const DEBUG: &str = "info,allotment=debug";

/// All addresses. Placement believes the headers of each client, if it reads these headers at all.
const EVERYBODY: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// The longest time for which a starting service tries to reach the database, in seconds.
const LONGEST_START: i64 = 86_400;

/// Translates all options whose fate is [`Fate::Counts`](super::options::Fate::Counts), without those of Keystone.
pub(super) fn translate(paths: &[PathBuf], source: &Source, into: &mut Import) -> Result<(), Error> {
    let get = |section, name| match table::find(section, name) {
        Some(option) => source.get(option),
        None => Ok(None),
    };
    match get("api", "auth_strategy")? {
        Some(given) => into.set("auth.strategy", given),
        None => into.set_default("auth.strategy", Value::String("keystone".to_owned())),
    }
    if let Some(given) = get("DEFAULT", "debug")?.filter(|given| given.value == Value::Boolean(true)) {
        into.set("log", given.with(Value::String(DEBUG.to_owned())));
    }
    log_file(get("DEFAULT", "log_dir")?, get("DEFAULT", "log_file")?, into);
    let both = get("DEFAULT", "use_stderr")?.filter(|given| given.value == Value::Boolean(true));
    if let Some(given) = both.filter(|_| into.has("log_file")) {
        into.remark(&given.origin, "is not honoured: the log goes to log_file alone");
    }
    match get("DEFAULT", "use_json")?.filter(|given| given.value == Value::Boolean(true)) {
        Some(given) => into.set("log_format", given.with(Value::String("json".to_owned()))),
        None => into.set_default("log_format", Value::String("oslo".to_owned())),
    }
    let parsing = get("oslo_middleware", "enable_proxy_headers_parsing")?;
    if let Some(given) = parsing.filter(|given| given.value == Value::Boolean(true)) {
        into.set("trusted_proxies", given.with(texts(&EVERYBODY)));
    }
    let directories = searched(paths);
    policy_file(&directories, get("oslo_policy", "policy_file")?, into);
    policy_dirs(&directories, get("oslo_policy", "policy_dirs")?, into);
    let of_database = |name| get("placement_database", name);
    if let Some(given) = of_database("connection")? {
        let parameters = of_database("connection_parameters")?;
        connection(given, parameters.as_ref().and_then(|given| given.value.as_str()), into);
    }
    retries(of_database("max_retries")?, of_database("retry_interval")?, into);
    // Less than 0 stands for no limit in both libraries.
    if let Some(given) = of_database("connection_recycle_time")? {
        let age = given.integer();
        into.set(
            "database.connection_recycle_seconds",
            given.with(Value::Integer(if age < 0 { 0 } else { age.max(1) })),
        );
    }
    for (name, key, least) in
        [("max_pool_size", "database.pool_size", 1), ("max_overflow", "database.max_overflow", 0)]
    {
        match of_database(name)? {
            Some(given) if given.integer() < least => into.remark(
                &given.origin,
                &format!("is not honoured: there is no pool without a limit, so {key} keeps its default"),
            ),
            Some(given) => into.set(key, given),
            None => {}
        }
    }
    Ok(())
}

/// Sets the log file. A directory alone gets a file with the name of Placement's service.
fn log_file(directory: Option<Given>, file: Option<Given>, into: &mut Import) {
    let text = |given: &Option<Given>| {
        let text = given.as_ref().and_then(|given| given.value.as_str()).unwrap_or_default();
        Some(text.to_owned()).filter(|text| !text.is_empty())
    };
    let path = match (text(&directory), text(&file)) {
        (None, None) => return,
        (None, Some(file)) => PathBuf::from(file),
        (Some(directory), file) => Path::new(&directory).join(file.as_deref().unwrap_or("placement-api.log")),
    };
    if let Some(given) = file.or(directory) {
        into.set("log_file", given.with(Value::String(path.to_string_lossy().into_owned())));
    }
}

/// Sets the time for which a starting service tries to reach the database.
fn retries(retries: Option<Given>, interval: Option<Given>, into: &mut Import) {
    let count = retries.as_ref().map_or(10, Given::integer);
    let pause = interval.as_ref().map_or(10, Given::integer);
    let seconds = if count < 0 { LONGEST_START } else { count.saturating_mul(pause).clamp(0, LONGEST_START) };
    if let Some(given) = retries.or(interval) {
        into.set("database.start_seconds", given.with(Value::Integer(seconds)));
    }
}

/// Sets the URL of the database. SQLAlchemy, which reads the URL for Placement, writes the path of SQLite's file after
/// three slashes, so an absolute path begins with the fourth one.
fn connection(given: Given, parameters: Option<&str>, into: &mut Import) {
    let text = given.value.as_str().unwrap_or_default();
    let scheme = text.split(':').next().unwrap_or_default();
    let url = if scheme.split('+').next() == Some("sqlite") {
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        if query.or(parameters).is_some_and(|query| !query.is_empty()) {
            into.remark(&given.origin, "the parameters of the SQLite URL have no effect");
        }
        let path = path[scheme.len()..].trim_start_matches(':');
        format!("sqlite:{}", path.strip_prefix("///").unwrap_or(path))
    } else {
        match parameters {
            Some(parameters) if !parameters.is_empty() => {
                format!("{text}{}{parameters}", if text.contains('?') { '&' } else { '?' })
            }
            _ => text.to_owned(),
        }
    };
    into.set("database.url", given.with(Value::String(url)));
}

/// Returns the directories in which oslo.config looks up a relative path.
fn searched(paths: &[PathBuf]) -> Vec<PathBuf> {
    let beside = |path: &PathBuf| match path.is_dir() {
        true => vec![path.clone()],
        false => vec![path.parent().unwrap_or(Path::new("")).to_owned(), directory_of(path)],
    };
    let mut directories: Vec<PathBuf> = paths.iter().flat_map(beside).collect();
    directories.extend(["/etc/placement", "/etc"].map(PathBuf::from));
    directories
}

/// Sets the policy file.
fn policy_file(directories: &[PathBuf], given: Option<Given>, into: &mut Import) {
    let name = given.as_ref().and_then(|given| given.value.as_str()).unwrap_or("policy.yaml").to_owned();
    let found = directories.iter().map(|directory| directory.join(&name)).find(|file| file.is_file());
    let file = found.map(|file| Value::String(file.to_string_lossy().into_owned()));
    match (given, file) {
        (_, None) if name.is_empty() => {}
        (Some(given), Some(file)) => into.set("policy.file", given.with(file)),
        (Some(given), None) => {
            into.remark(&given.origin, "there is no such file, so the default rules are in force");
        }
        (None, Some(file)) => into.set_default("policy.file", file),
        (None, None) => {}
    }
}

/// Sets the directories of policy files. Placement leaves out directories that do not exist.
fn policy_dirs(directories: &[PathBuf], given: Option<Given>, into: &mut Import) {
    let usual = texts(&["policy.d"]);
    let names = given.as_ref().map_or(&usual, |given| &given.value);
    let found: Vec<String> = names
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter_map(|name| {
            directories.iter().map(|directory| directory.join(name)).find(|path| path.is_dir())
        })
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let found = texts(&found.iter().map(String::as_str).collect::<Vec<_>>());
    match given {
        _ if found.as_array().is_some_and(Vec::is_empty) => {}
        Some(given) => into.set("policy.dirs", given.with(found)),
        None => into.set_default("policy.dirs", found),
    }
}

/// Returns a list of texts.
pub(super) fn texts(texts: &[&str]) -> Value {
    Value::Array(texts.iter().map(|text| Value::String((*text).to_owned())).collect())
}

impl Given {
    /// Returns another value from the same place.
    pub fn with(&self, value: Value) -> Given {
        Given { value, origin: self.origin.clone() }
    }

    /// Returns the value of an option whose type is a whole number.
    pub fn integer(&self) -> i64 {
        self.value.as_integer().unwrap_or_default()
    }
}

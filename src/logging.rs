//! The log: its lines, its filter, and the file or standard error to which it goes. All of these can be changed while the
//! service runs.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use chrono::{DateTime, Local, SecondsFormat, Utc};
use env_logger::{Target, WriteStyle};
use log::{Level, Log, Metadata, Record};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock;
use crate::facts::{self, Facts};
use crate::trace::Trace;

/// The default filter. With this filter, each request is logged on one line.
const DEFAULT_FILTER: &str = "info";

/// The form of the log's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// The lines of oslo.log, which deployment tools parse.
    Oslo,
    /// One JSON object on each line.
    Json,
}

/// The settings of the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'a> {
    /// A level such as `info`, or levels by module such as `info,allotment::db=debug`. With None, the environment
    /// variable `RUST_LOG` is used.
    pub filter: Option<&'a str>,
    /// The form of the lines.
    pub format: LogFormat,
    /// The file to which the log is appended. With None, the log goes to standard error.
    pub file: Option<&'a Path>,
}

static LOGGER: Exchangeable = Exchangeable { current: RwLock::new(None) };

/// A logger that contains the present logger, which can be replaced at any time.
struct Exchangeable {
    current: RwLock<Option<env_logger::Logger>>,
}

impl Log for Exchangeable {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.current.read().as_ref().is_some_and(|logger| logger.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(logger) = self.current.read().as_ref() {
            logger.log(record);
        }
    }

    fn flush(&self) {}
}

/// Puts the settings in force, and opens the file again, which another program may have moved. After an error, the log
/// goes on as before.
pub fn set(settings: Settings<'_>) -> io::Result<()> {
    let from_environment = std::env::var("RUST_LOG").ok();
    let filter = settings.filter.or(from_environment.as_deref()).unwrap_or(DEFAULT_FILTER);
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(filter);
    if let Some(path) = settings.file {
        let file: File = OpenOptions::new().append(true).create(true).open(path)?;
        builder.target(Target::Pipe(Box::new(file))).write_style(WriteStyle::Never);
    }
    match settings.format {
        LogFormat::Text => {}
        LogFormat::Oslo => drop(builder.format(|line, record| {
            writeln!(line, "{}", oslo(record, facts::current().as_deref(), clock::now().into()))
        })),
        LogFormat::Json => drop(builder.format(|line, record| {
            writeln!(line, "{}", json(record, facts::current().as_deref(), clock::now().into()))
        })),
    }
    let logger = builder.build();
    log::set_max_level(logger.filter());
    *LOGGER.current.write() = Some(logger);
    // An error means that this logger is already installed, or that a test has installed another logger.
    let _ = log::set_logger(&LOGGER);
    Ok(())
}

/// Returns a line as oslo.log writes it: time, process, level, module, the facts of the request in brackets, message.
fn oslo(record: &Record<'_>, facts: Option<&Facts>, now: DateTime<Local>) -> String {
    // The facts about domains and the scope of the token are not in the log.
    let context = match facts {
        Some(facts) => format!(
            "{} {} {} {} - - - -",
            facts.caller_id.as_deref().unwrap_or("None"),
            facts.request_id,
            facts.user().unwrap_or("-"),
            facts.project().unwrap_or("-"),
        ),
        None => "-".to_owned(),
    };
    format!(
        "{} {} {} {} [{context}] {}",
        now.format("%Y-%m-%d %H:%M:%S%.3f"),
        std::process::id(),
        python_level(record.level()),
        record.target().replace("::", "."),
        record.args()
    )
}

/// Returns the name of a level in Python.
fn python_level(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
        Level::Trace => "TRACE",
    }
}

/// Returns a line with one JSON object.
fn json(record: &Record<'_>, facts: Option<&Facts>, now: DateTime<Utc>) -> Value {
    let mut object = json!({
        "time": now.to_rfc3339_opts(SecondsFormat::Micros, true),
        "level": python_level(record.level()),
        "module": record.target(),
        "pid": std::process::id(),
        "message": record.args().to_string(),
    });
    let known = facts.map(|facts| {
        [
            ("request_id", Some(facts.request_id.as_str())),
            ("global_request_id", facts.caller_id.as_deref()),
            ("user_id", facts.user()),
            ("project_id", facts.project()),
            ("trace_id", facts.trace.as_ref().map(Trace::id)),
        ]
    });
    for (name, value) in known.into_iter().flatten() {
        if let Some(value) = value {
            object[name] = value.into();
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn with_record(look: impl Fn(&Record<'_>)) {
        look(
            &Record::builder()
                .level(Level::Warn)
                .target("allotment::db")
                .args(format_args!("a \"b\"\nc"))
                .build(),
        );
    }

    fn facts() -> Facts {
        let facts = Facts::new("req-1".to_owned(), None, None);
        facts.set_client("u", None);
        facts
    }

    #[test]
    fn a_line_of_oslo_has_process_level_module_and_request() {
        let now =
            Local.with_ymd_and_hms(2026, 11, 30, 14, 5, 6).unwrap() + chrono::TimeDelta::microseconds(78_900);
        let start = format!("2026-11-30 14:05:06.078 {} WARNING allotment.db", std::process::id());
        with_record(|record| {
            assert_eq!(oslo(record, None, now), format!("{start} [-] a \"b\"\nc"));
            let line = oslo(record, Some(&facts()), now);
            assert_eq!(line, format!("{start} [None req-1 u - - - - -] a \"b\"\nc"));
        });
    }

    #[test]
    fn a_line_of_json_is_one_object() {
        let now = Utc.with_ymd_and_hms(2026, 11, 30, 14, 5, 6).unwrap();
        with_record(|record| {
            let line = json(record, Some(&facts()), now).to_string();
            assert!(!line.contains('\n'));
            let found: Value = serde_json::from_str(&line).unwrap();
            let expected = json!({
                "time": "2026-11-30T14:05:06.000000Z", "level": "WARNING", "module": "allotment::db",
                "pid": std::process::id(), "message": "a \"b\"\nc", "request_id": "req-1", "user_id": "u",
            });
            assert_eq!(found, expected);
        });
    }
}

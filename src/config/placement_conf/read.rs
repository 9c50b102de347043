//! Reads all options of the files, and gives each option its fate.

use std::path::PathBuf;

use toml::Value;

use super::import::Import;
use super::options::Fate;
use super::source::Source;
use super::{identity, table, translate, typed};
use crate::config::error::Error;

impl Import {
    /// Reads files such as `placement.conf`, each with the files in the directory beside it, and directories.
    pub fn read(paths: &[PathBuf]) -> Result<Import, Error> {
        let source = Source::read(paths)?;
        let mut into = Import::default();
        for option in table::all() {
            let Some(given) = source.get(option)? else { continue };
            let default = option.default.and_then(|text| typed::read(option.kind, text).ok().flatten());
            match option.fate {
                Fate::Sets(key) => into.set(key, given),
                Fate::Remark(why) if !is_default(&given.value, default.as_ref()) => {
                    into.remark(&given.origin, &format!("is not honoured: {why}"));
                }
                Fate::Counts(_) | Fate::Silent | Fate::Remark(_) => {}
            }
        }
        translate::translate(paths, &source, &mut into)?;
        identity::translate(&source, &mut into)?;
        into.remark_unknown(&source);
        Ok(into)
    }
}

/// Returns whether a value is the default. Words are the same in any case.
fn is_default(value: &Value, default: Option<&Value>) -> bool {
    match (value, default) {
        (Value::String(value), Some(Value::String(default))) => value.eq_ignore_ascii_case(default),
        (Value::Array(values), Some(Value::String(default))) => {
            matches!(values.as_slice(), [Value::String(only)] if only == default)
        }
        (value, Some(default)) => value == default,
        (Value::String(value), None) => value.is_empty(),
        (Value::Array(values), None) => values.is_empty(),
        _ => false,
    }
}

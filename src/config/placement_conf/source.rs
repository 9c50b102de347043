//! The values that the files of `placement.conf` give to the options.

use std::path::PathBuf;

use toml::Value;

use super::files::{Files, Place};
use super::interpolation::interpolate;
use super::options::{Kind, Opt};
use super::table;
use super::typed;
use crate::config::error::Error;

/// The most values of other options that stand in each other, one in the next.
const DEEPEST: u32 = 20;

/// A value with the place where it stands.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub value: Value,
    pub origin: Origin,
}

/// The place of an option in the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub file: PathBuf,
    pub line: usize,
    pub section: String,
    /// The name as the file has it, which may be an older one.
    pub name: String,
}

impl Origin {
    pub fn error(&self, problem: &str) -> Error {
        let problem = format!("[{}] {}: {problem}", self.section, self.name);
        Error::Syntax { path: self.file.clone(), line: self.line, problem }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, line {}: [{}] {}", self.file.display(), self.line, self.section, self.name)
    }
}

/// The options in the files, by name and type.
#[derive(Debug)]
pub(super) struct Source {
    pub files: Files,
}

impl Source {
    pub fn read(paths: &[PathBuf]) -> Result<Source, Error> {
        Ok(Source { files: Files::read(paths)? })
    }

    /// Returns the value of an option, or None if no file sets the option.
    pub fn get(&self, option: &Opt) -> Result<Option<Given>, Error> {
        self.get_at(option, &option.places())
    }

    /// Returns the value of an option that stands at one of these places.
    pub fn get_at(&self, option: &Opt, places: &[Place<'_>]) -> Result<Option<Given>, Error> {
        let found = self.files.find(places);
        let Some((file, last)) = found.last() else {
            return Ok(None);
        };
        let origin = Origin {
            file: file.to_path_buf(),
            line: last.line,
            section: last.section.clone(),
            name: last.name.clone(),
        };
        let value = if option.kind == Kind::Several {
            let texts = found.iter().map(|(_, option)| self.text(&option.section, &option.value, &origin, 0));
            Some(Value::Array(texts.map(|text| text.map(Value::String)).collect::<Result<_, _>>()?))
        } else {
            let text = self.text(&last.section, &last.value, &origin, 0)?;
            typed::read(option.kind, &text).map_err(|problem| origin.error(&problem))?
        };
        Ok(value.map(|value| Given { value, origin }))
    }

    /// Replaces the names of other options in a text of this section.
    fn text(&self, section: &str, text: &str, origin: &Origin, depth: u32) -> Result<String, Error> {
        if depth > DEEPEST {
            return Err(origin.error("its value leads back to itself"));
        }
        interpolate(text, |name| self.named(section, name, origin, depth))
    }

    /// Returns the value of the option that another value names, as a text.
    fn named(&self, section: &str, name: &str, origin: &Origin, depth: u32) -> Result<String, Error> {
        let (in_section, short) = name.split_once('.').unwrap_or((section, name));
        let option = table::find(in_section, short).or_else(|| table::find("DEFAULT", name));
        // A name that is older is not known to oslo.config here.
        let Some(option) = option.filter(|option| [name, short].contains(&option.name)) else {
            let problem = format!("${name} is no option; a dollar sign itself is written $$");
            return Err(origin.error(&problem));
        };
        let text = match self.files.find(&option.places()).last() {
            Some((_, found)) => self.text(&found.section, &found.value, origin, depth + 1)?,
            None => self.text(option.section, option.default.unwrap_or_default(), origin, depth + 1)?,
        };
        Ok(match typed::read(option.kind, &text) {
            Ok(Some(Value::Boolean(true))) => "True".to_owned(),
            Ok(Some(Value::Boolean(false))) => "False".to_owned(),
            Ok(Some(Value::Integer(number))) => number.to_string(),
            Ok(None) => String::new(),
            _ => text,
        })
    }
}

//! Validates bodies and query strings by JSON Schemas.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::wire::error::ApiError;
use crate::wire::microversion::Microversion;
use crate::wire::query::Query;
use crate::wire::uuids::{is_dashed_uuid, is_uuid_like};
use crate::wire::wording;

/// A schema, ready to validate.
#[derive(Debug)]
pub struct Schema {
    /// The file's name, without its ending.
    pub(crate) name: &'static str,
    /// The content of the file.
    pub(crate) source: Value,
    validator: Validator,
    /// The start of the messages of errors.
    pub(crate) prefix: &'static str,
}

/// A schema, or the fault of its file. A test shows that the files that come with the program have none.
type Loaded = Result<Schema, String>;

/// A schema that is read when it is first needed.
pub type LazySchema = LazyLock<Loaded>;

impl Schema {
    /// The schema of a body.
    pub(crate) fn body(name: &'static str, text: &str) -> Loaded {
        Self::load(name, text, "JSON does not validate: ", is_uuid_like)
    }

    /// The schema of a query string, taken as an object of strings.
    pub(crate) fn query(name: &'static str, text: &str) -> Loaded {
        Self::load(name, text, "Invalid query string parameters: ", is_dashed_uuid)
    }

    fn load(name: &'static str, text: &str, prefix: &'static str, uuid: fn(&str) -> bool) -> Loaded {
        let source = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .with_format("uuid", uuid)
            .should_validate_formats(true)
            .build(&source)
            .map_err(|error| error.to_string())?;
        Ok(Self { name, source, validator, prefix })
    }

    /// Checks whether a value fits. The error is a 400 in the wording of Python's jsonschema.
    pub fn check(&self, value: &Value) -> Result<(), ApiError> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let errors = self.validator.iter_errors(value);
        let message = wording::explain(&self.source, value, errors);
        Err(ApiError::bad_request(format!("{}{message}", self.prefix)))
    }

    /// Checks whether a query string fits. The last value of a repeated parameter counts.
    pub fn check_query(&self, query: &Query) -> Result<(), ApiError> {
        let object: Map<String, Value> =
            query.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        self.check(&Value::Object(object))
    }
}

/// A loaded schema, or the 500 that a broken schema file would be.
pub(crate) fn loaded(schema: &'static LazySchema) -> Result<&'static Schema, ApiError> {
    schema.as_ref().map_err(ApiError::internal)
}

/// A schema and the version that brought it.
type Entry = (Microversion, &'static LazySchema);

/// The schemas that one body or query string has had.
#[derive(Clone, Copy, Debug)]
pub struct Versions {
    oldest: Entry,
    newer: &'static [Entry],
}

impl Versions {
    /// A schema that never changed.
    #[must_use]
    pub const fn only(since: Microversion, schema: &'static LazySchema) -> Self {
        Self { oldest: (since, schema), newer: &[] }
    }

    /// The same with schemas that came later, oldest first.
    #[must_use]
    pub const fn then(mut self, newer: &'static [Entry]) -> Self {
        self.newer = newer;
        self
    }

    /// The newest schema that is not newer than a version, or else the oldest.
    #[must_use]
    pub fn at(&self, version: Microversion) -> &'static LazySchema {
        self.newer.iter().rev().find(|entry| version >= entry.0).unwrap_or(&self.oldest).1
    }

    /// All schemas, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry> {
        std::iter::once(self.oldest).chain(self.newer.iter().copied())
    }
}

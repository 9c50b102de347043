//! Validates request bodies and query strings by JSON Schemas.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::wire::error::ApiError;
use crate::wire::microversion::Microversion;
use crate::wire::query::Query;
use crate::wire::uuids::{is_dashed_uuid, is_uuid_like};
use crate::wire::wording;

/// A JSON Schema and its compiled validator.
#[derive(Debug)]
pub struct Schema {
    /// The name of the schema's file, without `.json`.
    pub(crate) name: &'static str,
    /// The parsed JSON of the file.
    pub(crate) source: Value,
    validator: Validator,
    /// The first words of each error message, such as `JSON does not validate: `.
    pub(crate) prefix: &'static str,
}

/// A loaded schema, or a message about the fault in its file. The files are embedded in the program, and a test
/// proves that all files load.
type Loaded = Result<Schema, String>;

/// A schema that is loaded at its first use.
pub type LazySchema = LazyLock<Loaded>;

impl Schema {
    /// Loads the schema of a request body.
    pub(crate) fn body(name: &'static str, text: &str) -> Loaded {
        Self::load(name, text, "JSON does not validate: ", is_uuid_like)
    }

    /// Loads the schema of a query string. The parameters are validated as a JSON object with their names as keys
    /// and strings as values.
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

    /// Validates a JSON value. The error is a 400 in the wording of Python's jsonschema.
    pub fn check(&self, value: &Value) -> Result<(), ApiError> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let errors = self.validator.iter_errors(value);
        let message = wording::explain(&self.source, value, errors);
        Err(ApiError::bad_request(format!("{}{message}", self.prefix)))
    }

    /// Validates a query string. If a parameter is repeated, only the last value is validated.
    pub fn check_query(&self, query: &Query) -> Result<(), ApiError> {
        let object: Map<String, Value> =
            query.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        self.check(&Value::Object(object))
    }
}

/// Returns a loaded schema. Returns a 500 if the schema's file is broken, which only a faulty build can cause.
pub(crate) fn loaded(schema: &'static LazySchema) -> Result<&'static Schema, ApiError> {
    schema.as_ref().map_err(ApiError::internal)
}

/// A schema, and the first version that uses the schema.
type Entry = (Microversion, &'static LazySchema);

/// The schemas of one body or query string in all microversions.
#[derive(Clone, Copy, Debug)]
pub struct Versions {
    oldest: Entry,
    newer: &'static [Entry],
}

impl Versions {
    /// Returns the history of a body or query string that has had the same schema since the version `since`.
    #[must_use]
    pub const fn only(since: Microversion, schema: &'static LazySchema) -> Self {
        Self { oldest: (since, schema), newer: &[] }
    }

    /// Adds the schemas of later versions, which must be sorted from old to new.
    #[must_use]
    pub const fn then(mut self, newer: &'static [Entry]) -> Self {
        self.newer = newer;
        self
    }

    /// Returns the schema for a version. A version before the first schema gets the first schema.
    #[must_use]
    pub fn at(&self, version: Microversion) -> &'static LazySchema {
        self.newer.iter().rev().find(|entry| version >= entry.0).unwrap_or(&self.oldest).1
    }

    /// Returns all schemas, from old to new.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry> {
        std::iter::once(self.oldest).chain(self.newer.iter().copied())
    }
}

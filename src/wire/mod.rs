//! Formats of requests and responses: parsers and writers that know nothing about resources.
//!
//! - `microversion`, `accept`, `query`, `json`: parsers for the parts of a request
//! - `schema`, `wording`, `python`: validation by JSON Schema, and error messages in the wording of Python's
//!   jsonschema
//! - `ordered`: JSON objects that preserve the order of their members
//! - `uuids`, `times`: uuids and times in the spellings that clients use
//! - `error`, `code`: the errors of the API; `error_body`: the bodies of error responses
//! - `headers`: headers of responses

pub mod accept;
mod code;
pub mod error;
pub(crate) mod error_body;
pub(crate) mod headers;
pub mod json;
pub mod microversion;
pub mod ordered;
pub mod python;
pub mod query;
pub mod schema;
pub mod times;
pub mod uuids;
mod wording;

pub use code::Code;
pub use error::ApiError;
pub use query::Query;

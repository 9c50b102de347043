//! Formats without meaning: the parts of requests and answers, parsed and written.
//!
//! - `microversion`, `accept`, `query`, `json`: the parts of a request, parsed
//! - `schema`, `wording`, `python`: validation, and errors as Python's jsonschema words them
//! - `ordered`: JSON objects whose members keep their order
//! - `uuids`, `times`: uuids and times in the forms in which clients write them
//! - `error`, `code`: the errors of the API; `error_body`: their bodies
//! - `headers`: headers of answers

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

//! Formats without meaning: the parts of requests and answers, parsed and written.
//!
//! - `microversion`, `accept`, `query`, `json`: the parts of a request, parsed
//! - `schema`, `wording`, `python`: validation, and errors as Python's jsonschema words them
//! - `ordered`: JSON objects whose members keep their order
//! - `names`, `times`: uuids and times in the forms in which clients write them
//! - `error`: errors as clients see them

pub mod accept;
pub mod error;
pub mod json;
pub mod microversion;
pub mod names;
pub mod ordered;
pub mod python;
pub mod query;
pub mod schema;
pub mod times;
mod wording;

pub use error::{ApiError, Code};
pub use query::Query;

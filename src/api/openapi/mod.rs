//! The OpenAPI 3.1 document, built from the routes and from the JSON Schemas of requests and responses.
//!
//! Microversions are described in the form of OpenStack's code generators. If the schema of a body or a parameter
//! has changed between versions, the document has a `oneOf` with `x-openstack: {discriminator: microversion}`. In
//! each branch, `x-openstack` has the first version (`min-ver`) and the last version (`max-ver`) of the branch.
//! Most tools do not know `x-openstack`. For such tools, there is also a document for each single version.
//!
//! - `pages`: the routes `/openapi.json` and `/docs`
//! - `document`: the document as a whole
//! - `parameters`, `responses`, `headers`, `schemas`: the parts of the document
//! - `words`: the descriptions of fields and parameters
//! - `versions`: ranges of versions

mod broken;
mod document;
mod headers;
pub mod pages;
mod parameters;
mod responses;
mod schemas;
mod versions;
mod words;

pub use broken::Broken;
pub use document::document;

#[cfg(test)]
mod tests;

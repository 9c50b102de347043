//! The OpenAPI 3.1 document, made of the rows of the table of routes and of the schemas that validate requests.
//!
//! Microversions are expressed as OpenStack's code generators do. Where a body or a parameter has changed, its
//! schema is a `oneOf` with `x-openstack: {discriminator: microversion}`. Each branch says in `x-openstack` from
//! which version (`min-ver`) to which (`max-ver`) it holds. Tools that do not know this cannot choose a branch,
//! so there is a plain document for each version too.
//!
//! - `pages`: the routes `/openapi.json` and `/docs`
//! - `document`: the document as a whole
//! - `parameters`, `responses`, `headers`, `schemas`: its parts
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

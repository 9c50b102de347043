//! Searches in the in-memory copy of all providers. A search returns allocation candidates (providers with enough
//! free resources) or a list of providers.
//!
//! - `candidate_query`: the query string of `/allocation_candidates`
//! - `constraints`: the query parameters `resources`, `required` and `member_of`
//! - `spelling`: the database's spelling of the names in a search
//! - `searchers`: the threads that run searches

pub mod candidate_query;
pub mod constraints;
pub(crate) mod searchers;
pub(crate) mod spelling;

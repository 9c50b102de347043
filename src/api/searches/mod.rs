//! Searches in the in-memory copy of all providers: for allocation candidates, and for lists of providers.
//!
//! - `candidate_query`: the query string of `/allocation_candidates`
//! - `constraints`: the query parameters `resources`, `required` and `member_of`
//! - `spelling`: the database's spelling of the names in a search
//! - `searchers`: the threads that run searches

pub mod candidate_query;
pub mod constraints;
pub(crate) mod searchers;
pub(crate) mod spelling;

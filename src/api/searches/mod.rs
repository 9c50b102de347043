//! Requests that search the picture of the fleet, for candidates or for a list of providers.
//!
//! - `candidate_query`: the query string of `/allocation_candidates`
//! - `constraints`: the small languages inside query parameters
//! - `spelling`: the database's spelling of the names in a search
//! - `searchers`: the threads that search

pub mod candidate_query;
pub mod constraints;
pub(crate) mod searchers;
pub(crate) mod spelling;

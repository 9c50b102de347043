//! Black-box tests: the real service on a database of its own, spoken to over HTTP, on SQLite,
//! PostgreSQL and MariaDB.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets what it did not expect fails"
)]

#[macro_use]
#[allow(dead_code, reason = "it is shared with the other tests, which need more of it")]
mod support;

mod bad_input;
#[cfg(feature = "mysql")]
mod charsets;
mod claim_order;
mod claims;
mod claims_at_once;
mod claims_model;
#[cfg(feature = "mysql")]
mod collations;
mod deletions;
#[cfg(feature = "sqlite")]
mod files;
mod fuzz;
mod generations;
mod orphans;
mod permissions;
mod replicas;
mod request_ids;
mod searches;
mod settings;

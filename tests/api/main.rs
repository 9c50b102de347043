//! Black-box tests: the real service on a database of its own, spoken to over HTTP, on SQLite,
//! PostgreSQL and MariaDB.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets what it did not expect fails"
)]

#[macro_use]
#[allow(dead_code, reason = "what several topics share is not used by each")]
mod support;

mod claims;
mod claims_model;
mod generations;
mod replicas;
mod request_ids;
mod settings;

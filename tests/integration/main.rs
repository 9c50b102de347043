//! Black-box tests: the real service on a database of its own, spoken to over HTTP, on SQLite,
//! PostgreSQL and MariaDB. One binary has them all, so that all share `support`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets what it did not expect fails"
)]
#![expect(clippy::disallowed_methods, reason = "a test is a client, with a clock of its own")]

#[macro_use]
mod support;

mod api;
mod lock;
mod search;
mod waitlist;

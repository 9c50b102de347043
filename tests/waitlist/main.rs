//! The waitlist over HTTP: tickets, turns, groups, fenced writes, on SQLite, PostgreSQL and MariaDB.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets what it did not expect fails"
)]

#[macro_use]
#[allow(dead_code, unused_imports, reason = "it is shared with the other tests, which need more of it")]
#[path = "../api/support/mod.rs"]
mod support;

mod calls;
mod clock;
mod cnapi;
mod cnapi_door;
mod cnapi_draft;
mod expiry;
mod fences;
mod groups;
mod kept;
mod many;
mod model;
mod projects;
mod queue;
mod storms;
mod waits;

//! `allotment lock` and `allotment tickets`: the program itself, run against the service.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets what it did not expect fails"
)]

#[macro_use]
#[allow(dead_code, unused_imports, reason = "it is shared with the other tests, which need more of it")]
#[path = "../api/support/mod.rs"]
mod support;

#[allow(dead_code, reason = "it is shared with the tests of the waitlist, which need more of it")]
#[path = "../waitlist/queue.rs"]
mod queue;

mod commands;
mod holding;
mod losing;
mod tickets;
mod tokens;
mod trouble;
mod waiting;
mod wire;

//! The `[limits]` table: what a single request, or a client, may cost.

use serde::{Deserialize, Serialize};

use super::Error;

/// The `[limits]` table: what a single request may cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Limits {
    /// The largest request body, in bytes; more is 413.
    pub body_bytes: usize,
    /// How many bytes the bodies of all requests under way may have together. A request for which there is no
    /// place waits a few seconds, and is 503 then.
    pub all_bodies_bytes: usize,
    /// The longest query string, in bytes; more is 414.
    pub query_bytes: usize,
    /// How many parameters a query string may have; more are 400.
    pub query_parameters: usize,
    /// The longest names and values of a request's headers together, in bytes; more is 431.
    pub header_bytes: usize,
    /// How many combinations of providers a search for candidates may try; more is 400.
    pub candidate_visits: u64,
    /// How many seconds a search for candidates may take, with its answer; more is 400.
    pub candidate_seconds: u64,
    /// The largest answer to a search for candidates, in bytes; more is 400.
    pub candidate_bytes: usize,
    /// How many connections are open at once for each worker; more wait.
    pub connections: usize,
    /// How many seconds a client may take for the head of a request; then 408.
    pub header_seconds: u64,
    /// How many seconds a client may take for the body of a request; then 408.
    pub body_seconds: u64,
    /// For how many seconds a connection is kept for the client's next request.
    pub keep_alive_seconds: u64,
    /// How many seconds a client may take no byte of an answer; then the connection is closed.
    pub answer_seconds: u64,
    /// How many seconds requests under way get at a stop.
    pub shutdown_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 4 << 20,
            all_bodies_bytes: 64 << 20,
            query_bytes: 32 << 10,
            query_parameters: 1_000,
            header_bytes: 32 << 10,
            candidate_visits: 20_000_000,
            candidate_seconds: 10,
            candidate_bytes: 256 << 20,
            connections: 25_000,
            header_seconds: 10,
            body_seconds: 30,
            keep_alive_seconds: 75,
            answer_seconds: 60,
            shutdown_seconds: 5,
        }
    }
}

impl Limits {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), Error> {
        let at_least = |key, value: u64, least: u64| {
            let problem = format!("{value} is less than {least}");
            if value < least { Err(Error::Invalid { key, problem }) } else { Ok(()) }
        };
        at_least("limits.body_bytes", self.body_bytes as u64, 1024)?;
        // Large bodies have three quarters of it, and one of them must fit in.
        at_least(
            "limits.all_bodies_bytes",
            self.all_bodies_bytes as u64,
            (self.body_bytes as u64).saturating_mul(2),
        )?;
        at_least("limits.query_bytes", self.query_bytes as u64, 256)?;
        at_least("limits.query_parameters", self.query_parameters as u64, 16)?;
        at_least("limits.header_bytes", self.header_bytes as u64, 1024)?;
        at_least("limits.candidate_visits", self.candidate_visits, 1_000)?;
        at_least("limits.candidate_seconds", self.candidate_seconds, 1)?;
        at_least("limits.candidate_bytes", self.candidate_bytes as u64, 1 << 20)?;
        at_least("limits.connections", self.connections as u64, 1)?;
        at_least("limits.header_seconds", self.header_seconds, 1)?;
        at_least("limits.body_seconds", self.body_seconds, 1)?;
        at_least("limits.keep_alive_seconds", self.keep_alive_seconds, 1)?;
        at_least("limits.answer_seconds", self.answer_seconds, 1)
    }
}

//! The `[limits]` table: the bounds on the cost of a request and of a connection.

use serde::{Deserialize, Serialize};

use crate::setting::{Unusable, within};

/// The `[limits]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Limits {
    /// The largest body of a request, in bytes. A larger one is answered 413.
    pub body_bytes: usize,
    /// The largest sum of all bodies of requests under way, in bytes. A request whose body does not fit waits a
    /// few seconds, and is then answered 503.
    pub all_bodies_bytes: usize,
    /// The longest query string, in bytes. A longer one is answered 414.
    pub query_bytes: usize,
    /// The largest number of parameters in a query string. More are answered 400.
    pub query_parameters: usize,
    /// The largest sum of the names and values of a request's headers, in bytes. A larger one is answered 431.
    pub header_bytes: usize,
    /// The largest number of providers that a search for candidates may try. A search that needs more is
    /// answered 400.
    pub candidate_visits: u64,
    /// The longest time of a search for candidates with its answer, in seconds. A longer one is answered 400.
    pub candidate_seconds: u64,
    /// The largest answer to a search for candidates, in bytes. A larger one is answered 400.
    pub candidate_bytes: usize,
    /// The largest number of open connections for each worker. More connections wait.
    pub connections: usize,
    /// The time within which the head of a request must come, in seconds. After that, the answer is 408.
    pub header_seconds: u64,
    /// The time within which the body of a request must come, in seconds. After that, the answer is 408.
    pub body_seconds: u64,
    /// The time for which a connection is kept for the client's next request, in seconds.
    pub keep_alive_seconds: u64,
    /// The longest pause of a client that reads an answer, in seconds. After that, the connection is closed.
    pub answer_seconds: u64,
    /// The time that requests under way have to end when the service stops, in seconds.
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
    /// Refuses values that are too small.
    pub fn check(&self) -> Result<(), Unusable> {
        let at_least = |key, value, least| within(key, value, least, u64::MAX);
        at_least("limits.body_bytes", self.body_bytes as u64, 1024)?;
        // Large bodies share three quarters of this memory, and the largest body must fit.
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

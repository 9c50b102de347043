//! The `[limits]` table of the settings: the bounds on the cost of a request and of a connection.

use serde::{Deserialize, Serialize};

use crate::setting::{Unusable, within};

/// The `[limits]` table of the settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Limits {
    /// The largest body of a request, in bytes. A larger body is answered 413.
    pub body_bytes: usize,
    /// The largest total size of the bodies of all requests in progress, in bytes. A request whose body does not
    /// fit at the moment waits up to 5 seconds, and is then answered 503.
    pub all_bodies_bytes: usize,
    /// The longest query string, in bytes. A longer query string is answered 414.
    pub query_bytes: usize,
    /// The largest number of parameters in a query string. A query string with more parameters is answered 400.
    pub query_parameters: usize,
    /// The largest total size of the names and values of a request's headers, in bytes. Larger headers are
    /// answered 431.
    pub header_bytes: usize,
    /// The largest number of providers that a search for allocation candidates (providers with enough free
    /// resources) may visit. A search that exceeds this number is answered 400.
    pub candidate_visits: u64,
    /// The longest time of a search for allocation candidates, in seconds. The time to build the answer is
    /// included. A longer search is answered 400.
    pub candidate_seconds: u64,
    /// The largest answer to a search for allocation candidates, in bytes. A larger answer is replaced by a 400.
    pub candidate_bytes: usize,
    /// The largest number of open connections of one worker thread. Further connections wait in the kernel until a
    /// connection is closed.
    pub connections: usize,
    /// The time within which the head of a request must arrive, in seconds. A later head is answered 408.
    pub header_seconds: u64,
    /// The time within which the body of a request must arrive, in seconds. A later body is answered 408.
    pub body_seconds: u64,
    /// The time for which an idle connection stays open for the client's next request, in seconds.
    pub keep_alive_seconds: u64,
    /// The time after which a connection is closed if the client receives no byte of its answer, in seconds.
    pub answer_seconds: u64,
    /// The time after SIGTERM for which the service still answers all requests, in seconds. The readiness check fails
    /// from the signal on, so proxies can turn to other replicas in this time.
    pub drain_seconds: u64,
    /// The time that running requests have to end when the service stops, in seconds. Then the connections are
    /// closed.
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
            drain_seconds: 0,
            shutdown_seconds: 5,
        }
    }
}

impl Limits {
    /// Refuses values that are too small. The error names the setting.
    pub fn check(&self) -> Result<(), Unusable> {
        let at_least = |key, value, least| within(key, value, least, u64::MAX);
        at_least("limits.body_bytes", self.body_bytes as u64, 1024)?;
        // A part of `limits.all_bodies_bytes` is reserved for small bodies. If the setting is at least twice
        // `limits.body_bytes`, the largest body fits into the other part.
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

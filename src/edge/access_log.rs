//! The access log: one line for each request.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use log::Level;

use crate::facts::Facts;
use crate::wire::microversion::Microversion;

/// The facts in one line of the access log.
pub(crate) struct Entry<'a> {
    /// The address of the client. None if the connection has no peer address.
    pub client: Option<IpAddr>,
    pub method: &'a Method,
    /// The path and the query string, percent-encoded as the client sent them.
    pub target: &'a str,
    pub status: StatusCode,
    pub length: usize,
    pub version: Option<Microversion>,
    pub facts: &'a Facts,
    pub took: Duration,
}

/// The logged status of a request whose client closed the connection before the answer. nginx logs the same status
/// for such a request.
pub(crate) const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The text in place of a fact that is not known.
const ABSENT: &str = "-";

pub(crate) fn write(level: Level, entry: &Entry<'_>) {
    log::log!(target: "allotment::access", level, "{}", line(entry));
}

fn line(entry: &Entry<'_>) -> String {
    let version = entry.version.map_or_else(|| "-".to_owned(), |version| version.to_string());
    let client = entry.client.map_or_else(|| "-".to_owned(), |client| client.to_string());
    let trace = entry.facts.trace.as_ref().map(|trace| format!(" trace: {}", trace.id())).unwrap_or_default();
    format!(
        "{client} \"{} {}\" status: {} len: {} microversion: {} request: {} caller: {} user: {} project: {} ms: {:.1}{trace}",
        entry.method,
        entry.target,
        entry.status.as_u16(),
        entry.length,
        version,
        entry.facts.request_id,
        entry.facts.caller_id.as_deref().unwrap_or(ABSENT),
        entry.facts.user().unwrap_or(ABSENT),
        entry.facts.project().unwrap_or(ABSENT),
        entry.took.as_secs_f64() * 1000.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::microversion::V1_28;

    #[test]
    fn a_line_has_everything() {
        let facts = Facts::new("req-1".to_owned(), Some("req-2".to_owned()), None);
        facts.set_client("3fa4d1", Some("a \"b\nc"));
        let mut entry = Entry {
            client: Some(IpAddr::from([192, 0, 2, 1])),
            method: &Method::GET,
            target: "/traits?name=in:A",
            status: StatusCode::OK,
            length: 17,
            version: Some(V1_28),
            facts: &facts,
            took: Duration::from_micros(1250),
        };
        assert_eq!(
            line(&entry),
            "192.0.2.1 \"GET /traits?name=in:A\" status: 200 len: 17 microversion: 1.28 \
             request: req-1 caller: req-2 user: 3fa4d1 project: a??b?c ms: 1.2"
        );
        entry.client = None;
        entry.version = None;
        let unknown = Facts::new("req-1".to_owned(), None, None);
        entry.facts = &unknown;
        assert!(line(&entry).starts_with("- \"GET"));
        assert!(line(&entry).contains("microversion: - request: req-1 caller: - user: - project: - ms: "));
    }
}

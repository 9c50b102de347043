//! One line on the log for each request.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};

use super::microversion::Microversion;

/// What the line tells.
pub(super) struct Entry<'a> {
    /// Who asked, as far as that is known.
    pub client: Option<IpAddr>,
    pub method: &'a Method,
    /// Path and query string as they came, percent-encoded still.
    pub target: &'a str,
    pub status: StatusCode,
    pub length: usize,
    pub version: Option<Microversion>,
    pub request_id: &'a str,
    /// The id that the caller gave, which follows a task through several services.
    pub caller_id: Option<&'a str>,
    pub took: Duration,
}

pub(super) fn write(entry: &Entry<'_>) {
    log::info!(target: "allotment::access", "{}", line(entry));
}

fn line(entry: &Entry<'_>) -> String {
    let version = entry.version.map_or_else(|| "-".to_owned(), |version| version.to_string());
    let client = entry.client.map_or_else(|| "-".to_owned(), |client| client.to_string());
    format!(
        "{client} \"{} {}\" status: {} len: {} microversion: {} request: {} caller: {} ms: {:.1}",
        entry.method,
        entry.target,
        entry.status.as_u16(),
        entry.length,
        version,
        entry.request_id,
        entry.caller_id.unwrap_or("-"),
        entry.took.as_secs_f64() * 1000.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::microversion::V1_28;

    #[test]
    fn a_line_has_everything() {
        let mut entry = Entry {
            client: Some(IpAddr::from([192, 0, 2, 1])),
            method: &Method::GET,
            target: "/traits?name=in:A",
            status: StatusCode::OK,
            length: 17,
            version: Some(V1_28),
            request_id: "req-1",
            caller_id: Some("req-2"),
            took: Duration::from_micros(1250),
        };
        assert_eq!(
            line(&entry),
            "192.0.2.1 \"GET /traits?name=in:A\" status: 200 len: 17 microversion: 1.28 \
             request: req-1 caller: req-2 ms: 1.2"
        );
        entry.client = None;
        entry.version = None;
        entry.caller_id = None;
        assert!(line(&entry).starts_with("- \"GET"));
        assert!(line(&entry).contains("microversion: - request: req-1 caller: - "));
    }
}

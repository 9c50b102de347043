//! The access log: one line for each request.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use log::Level;

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
    pub request_id: &'a str,
    /// The ids of the user and of the project. None if the request was not authenticated.
    pub user: Option<&'a str>,
    pub project: Option<&'a str>,
    /// The request id that the client sent. OpenStack services send this id along with each call, so that one task
    /// can be found in the logs of several services.
    pub caller_id: Option<&'a str>,
    pub took: Duration,
}

/// The logged status of a request whose client closed the connection before the answer. nginx logs the same status
/// for such a request.
pub(crate) const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The longest user id or project id that the log shows, in bytes. Keystone's ids are not longer. With `noauth2`
/// (no real authentication), the user id is the token that the client sent. If a client sends a Keystone token by
/// mistake, the token is longer than this limit. So the token, which is a secret, does not appear in the log.
const LONGEST_ID: usize = 64;

pub(crate) fn write(level: Level, entry: &Entry<'_>) {
    log::log!(target: "allotment::access", level, "{}", line(entry));
}

fn line(entry: &Entry<'_>) -> String {
    let version = entry.version.map_or_else(|| "-".to_owned(), |version| version.to_string());
    let client = entry.client.map_or_else(|| "-".to_owned(), |client| client.to_string());
    format!(
        "{client} \"{} {}\" status: {} len: {} microversion: {} request: {} caller: {} user: {} project: {} ms: {:.1}",
        entry.method,
        entry.target,
        entry.status.as_u16(),
        entry.length,
        version,
        entry.request_id,
        entry.caller_id.unwrap_or("-"),
        shown(entry.user),
        shown(entry.project),
        entry.took.as_secs_f64() * 1000.0,
    )
}

/// Returns an id with `?` in place of each character that could be read as another part of the line. Returns `-`
/// for an absent, empty or too long id.
fn shown(id: Option<&str>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._@-".contains(c) { c } else { '?' };
    match id.filter(|id| !id.is_empty() && id.len() <= LONGEST_ID) {
        Some(id) => id.chars().map(plain).collect(),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::microversion::V1_28;

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
            user: Some("3fa4d1"),
            project: Some("a \"b\nc"),
            caller_id: Some("req-2"),
            took: Duration::from_micros(1250),
        };
        assert_eq!(
            line(&entry),
            "192.0.2.1 \"GET /traits?name=in:A\" status: 200 len: 17 microversion: 1.28 \
             request: req-1 caller: req-2 user: 3fa4d1 project: a??b?c ms: 1.2"
        );
        entry.client = None;
        entry.version = None;
        entry.caller_id = None;
        let token = "gAAAA".repeat(40);
        entry.user = Some(&token);
        entry.project = Some("");
        assert!(line(&entry).starts_with("- \"GET"));
        assert!(line(&entry).contains("microversion: - request: req-1 caller: - user: - project: - ms: "));
    }
}

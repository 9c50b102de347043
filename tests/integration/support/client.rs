//! A client as schedulers have it: one agent, kept-alive connections, a microversion.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Request};

/// The newest microversion.
pub const NEWEST: &str = "1.39";

/// Sends requests as an administrator.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    version: String,
    /// The token that is sent unless a request has another token.
    token: Option<&'static str>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Client {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // No test measures time, but one must not hang.
            .timeout_global(Some(Duration::from_secs(120)))
            .build();
        Client {
            agent: config.into(),
            base: format!("http://{address}"),
            version: NEWEST.to_owned(),
            token: Some("admin"),
        }
    }

    /// The same client at another microversion.
    pub fn at(&self, version: &str) -> Client {
        Client { version: version.to_owned(), ..self.clone() }
    }

    /// The same client, who does not say who it is and knows nothing of versions.
    pub fn unknown(&self) -> Client {
        Client { token: None, ..self.clone() }
    }

    /// The same client, who says that it is an administrator.
    pub fn with_token(&self) -> Client {
        Client { token: Some("admin"), ..self.clone() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send_json("PUT", path, body)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send_json("POST", path, body)
    }

    /// Sends JSON with any method that has a body.
    pub fn send_json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        self.send(method, path, &[("content-type", "application/json")], Some(body.as_bytes()))
    }

    /// Sends a request with headers of its own, which replace those that are sent by default.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        let version = format!("placement {}", self.version);
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        let ours =
            self.token.map(|token| [("x-auth-token", token), ("openstack-api-version", version.as_str())]);
        for (name, value) in ours.into_iter().flatten() {
            if headers.iter().all(|(own, _)| *own != name) {
                request = request.header(name, value);
            }
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answered = match body {
            Some(body) => self.agent.run(request.body(body).unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut response = answered.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let mut body = Vec::new();
        std::io::Read::read_to_end(&mut response.body_mut().as_reader(), &mut body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        Answer {
            request: format!("{method} {path}"),
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body,
        }
    }
}

/// The answer to a request.
pub struct Answer {
    request: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.request, self.status, String::from_utf8_lossy(&self.body))
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Whether it came in a dialect of CNAPI.
    pub fn is_cnapi(&self) -> bool {
        self.header("x-server-name").is_some()
    }

    /// Fails unless the answer has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// The body of an answer that must be a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{self}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The error's code, without what all codes begin with; empty if there is no error.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = body["errors"][0]["code"].as_str().unwrap_or_default();
        code.strip_prefix("placement.").unwrap_or(code).to_owned()
    }

    /// The error's detail.
    pub fn detail(&self) -> String {
        self.json()["errors"][0]["detail"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether it tells the client to read again and retry.
    pub fn is_concurrent_update(&self) -> bool {
        self.status == 409 && self.code() == "concurrent_update"
    }
}

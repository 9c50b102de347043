//! What the Rust examples share: requests to a Placement service, and when to try again.

use std::error::Error;
use std::time::Duration;

use serde_json::Value;

/// Whatever ends an example.
pub type Failure = Box<dyn Error>;

/// A client of the service that the environment names.
pub struct Placement {
    agent: ureq::Agent,
    url: String,
    token: String,
}

/// An answer, whatever its status.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON in it; `null` if there is none.
    pub body: Value,
}

impl Placement {
    /// The service at `PLACEMENT_URL`, by default at its own default address.
    pub fn from_environment() -> Self {
        let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self {
            agent: config.into(),
            url: variable("PLACEMENT_URL", "http://127.0.0.1:8778"),
            token: variable("PLACEMENT_TOKEN", "admin"),
        }
    }

    /// One request.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        self.send_with(method, path, body, &[])
    }

    /// One request with headers of its own.
    pub fn send_with(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, Failure> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("X-Auth-Token", &self.token)
            .header("OpenStack-API-Version", "placement 1.39");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string())?)?
            }
            None => self.agent.run(request.body(())?)?,
        };
        let text = answer.body_mut().read_to_string()?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
        Ok(Answer { status: answer.status().as_u16(), body })
    }
}

impl Answer {
    /// The answer, if it is a success.
    pub fn success(self) -> Result<Self, Failure> {
        if self.status < 400 { Ok(self) } else { Err(format!("{}: {}", self.status, self.body).into()) }
    }

    /// Whether somebody else was faster: read again, decide again, write again.
    pub fn is_concurrent_update(&self) -> bool {
        self.status == 409 && self.body["errors"][0]["code"] == "placement.concurrent_update"
    }
}

/// Waits a random time that grows, so that those who fail together part.
pub fn wait_a_little(attempt: u32) {
    let most = (5_u64 << attempt.min(8)).min(1000);
    std::thread::sleep(Duration::from_millis(rand::random_range(0..most)));
}

//! A client of the service, for the commands that speak to one.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use allotment::trust;
use clap::Args;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How long a connection may take to come about.
const CONNECTING: Duration = Duration::from_secs(10);

/// Where the service is, and who asks.
#[derive(Args)]
pub struct Access {
    /// Where the service is, such as http://127.0.0.1:8778
    #[arg(long, value_name = "URL", value_parser = base_url)]
    url: Url,
    /// Token to send as X-Auth-Token; better given in the environment as ALLOTMENT_TOKEN or OS_TOKEN,
    /// since others can see a process's arguments. With noauth2: admin, or USER:PROJECT
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// PEM file with the authorities to believe behind https, in place of the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("it must be http or https, not {other}")),
    }
}

/// The service.
pub struct Service {
    http: reqwest::Client,
    base: Url,
}

/// Why there is no answer that helps.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The service does not answer, or fails: it may do so later.
    #[error("{cause}")]
    Away {
        /// Why, in words.
        cause: String,
        /// Whether the request may have been done all the same.
        was_sent: bool,
        /// How long it wants to be left in peace.
        retry_after: Duration,
    },
    /// The service refuses.
    #[error("{detail} ({status}{})", if code.is_empty() { String::new() } else { format!(" {code}") })]
    Refused {
        /// The status of the answer.
        status: u16,
        /// The code of the error, such as `placement.concurrent_update`; empty if there is none.
        code: String,
        /// What it says of it.
        detail: String,
    },
}

impl Failure {
    /// A failure of which nothing is known but its cause.
    fn away(cause: String, was_sent: bool) -> Failure {
        Failure::Away { cause, was_sent, retry_after: Duration::ZERO }
    }

    /// Whether another try may end otherwise.
    pub fn may_pass(&self) -> bool {
        matches!(self, Failure::Away { .. })
    }

    /// How long the service wants to be left in peace.
    pub fn retry_after(&self) -> Duration {
        match self {
            Failure::Away { retry_after, .. } => *retry_after,
            Failure::Refused { .. } => Duration::ZERO,
        }
    }
}

impl Service {
    /// Reads the CA file; connects to nobody.
    pub fn new(access: &Access) -> Result<Service, String> {
        let mut headers = HeaderMap::new();
        headers.insert("openstack-api-version", HeaderValue::from_static("placement latest"));
        headers.insert("accept", HeaderValue::from_static("application/json"));
        let named = |name| env::var(name).ok().filter(|token| !token.is_empty());
        let token = access.token.clone().or_else(|| named("ALLOTMENT_TOKEN")).or_else(|| named("OS_TOKEN"));
        if let Some(token) = token {
            let mut token = HeaderValue::from_str(&token).map_err(|_| "the token can't be one".to_owned())?;
            token.set_sensitive(true);
            headers.insert("x-auth-token", token);
        }
        let trust = trust::client_config(access.ca_file.as_deref()).map_err(|error| error.to_string())?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(trust)
            .default_headers(headers)
            .connect_timeout(CONNECTING)
            // A token goes to nobody else.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("allotment/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Service { http, base: access.url.clone() })
    }

    /// The address of what is below the service's own.
    fn address(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url.set_query(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Reads something.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        patience: Duration,
    ) -> Result<T, Failure> {
        understood(self.send(Method::GET, self.address(path, query), None, patience).await?)
    }

    /// Sends JSON.
    pub async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &Value,
        patience: Duration,
    ) -> Result<T, Failure> {
        understood(self.send(method, self.address(path, &[]), Some(body), patience).await?)
    }

    /// Deletes something.
    pub async fn delete(&self, path: &[&str], patience: Duration) -> Result<(), Failure> {
        self.send(Method::DELETE, self.address(path, &[]), None, patience).await.map(drop)
    }

    /// The body of the answer, if that is a success.
    async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
        patience: Duration,
    ) -> Result<Vec<u8>, Failure> {
        let mut request = self.http.request(method, url).timeout(patience);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| away(&error))?;
        let status = response.status();
        let retry_after = seconds(response.headers().get(RETRY_AFTER));
        let body = response.bytes().await.map_err(|error| away(&error))?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        let error: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |key: &str| error["errors"][0][key].as_str().unwrap_or_default().trim().to_owned();
        let (code, detail) = (text("code"), text("detail"));
        let detail = if detail.is_empty() { format!("the answer is {status}") } else { detail };
        // What a balancer says whose servers are away, too.
        if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
            return Err(Failure::Away { cause: detail, was_sent: true, retry_after });
        }
        Err(Failure::Refused { status: status.as_u16(), code, detail })
    }
}

fn understood<T: DeserializeOwned>(body: Vec<u8>) -> Result<T, Failure> {
    serde_json::from_slice(&body)
        .map_err(|error| Failure::away(format!("the answer is not one of allotment's: {error}"), true))
}

/// A failure of the network, with its innermost reason, which is the one that tells something.
fn away(error: &reqwest::Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let place =
        error.url().map_or_else(String::new, |url| format!("{}://{}: ", url.scheme(), url.authority()));
    Failure::away(format!("{place}{cause}"), !error.is_connect())
}

/// The seconds of a Retry-After; a date is none that matters here.
fn seconds(header: Option<&HeaderValue>) -> Duration {
    let seconds = header.and_then(|header| header.to_str().ok()?.trim().parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs)
}

//! A client of the service, for the commands that speak to one.

use std::path::PathBuf;
use std::time::Duration;

use allotment::trust;
use clap::Args;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::clock::Moment;
use super::cloud::Cloud;
use super::token::{self, Source, Token, Tokens};

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// How long a connection may take to come about.
const CONNECTING: Duration = Duration::from_secs(10);

/// Where the service is, and who asks.
#[derive(Args)]
pub struct Access {
    /// Where the service is, such as http://127.0.0.1:8778 [default: where Keystone's catalog has it, after a
    /// log-in with the OS_ variables]
    #[arg(long, value_name = "URL", value_parser = base_url)]
    url: Option<Url>,
    /// Token to send as X-Auth-Token; better given in the environment as ALLOTMENT_TOKEN or OS_TOKEN,
    /// since others can see a process's arguments. With noauth2: admin, or USER:PROJECT
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Shell command that prints a token. It is run when there is no token yet, and again when the service
    /// refuses the one that there is. Without it, OS_AUTH_URL and the other OS_ variables of OpenStack's
    /// clients log in, with OS_PASSWORD or an application credential
    #[arg(long, value_name = "COMMAND")]
    token_command: Option<String>,
    /// PEM file with the authorities to believe behind https, in place of the system's [default: OS_CACERT]
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

/// A request to the service.
struct Target<'a> {
    method: Method,
    /// The path below the service's own address.
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    body: Option<&'a Value>,
}

/// The service.
pub struct Service {
    http: reqwest::Client,
    /// The service's address; `None` if it is looked up in the catalog.
    base: Option<Url>,
    tokens: Tokens,
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
        /// How long the service wants to be left in peace.
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
    /// There is no token to ask with, and no other try will bring one.
    #[error("there is no token: {0}")]
    NoToken(String),
}

impl Failure {
    /// A failure of which only the cause is known.
    pub fn away(cause: String, was_sent: bool) -> Failure {
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
            Failure::Refused { .. } | Failure::NoToken(_) => Duration::ZERO,
        }
    }
}

impl Service {
    /// Reads the CA file; connects to nobody.
    pub fn new(access: &Access) -> Result<Service, String> {
        let mut headers = HeaderMap::new();
        headers.insert("openstack-api-version", HeaderValue::from_static("placement latest"));
        headers.insert("accept", HeaderValue::from_static("application/json"));
        let cloud = Cloud::from_env();
        let ca_file = access.ca_file.clone().or_else(|| cloud.get("OS_CACERT").map(PathBuf::from));
        let trust = trust::client_config(ca_file.as_deref()).map_err(|error| error.to_string())?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(trust)
            .default_headers(headers)
            .connect_timeout(CONNECTING)
            // A token goes to nobody else.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("allotment/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        let named = || cloud.get("ALLOTMENT_TOKEN").or_else(|| cloud.get("OS_TOKEN"));
        let given = access.token.clone().or_else(named);
        let source = token::source(access.token_command.as_deref(), &cloud, &http);
        let endpoint = match (&access.url, &source) {
            (Some(_), _) => None,
            (None, Source::Keystone(_)) => Some(cloud.endpoint()?),
            (None, _) => {
                return Err("--url is needed where the OS_ variables do not log in at Keystone".to_owned());
            }
        };
        let tokens = Tokens::new(given.as_deref(), source, endpoint)?;
        Ok(Service { http, base: access.url.clone(), tokens })
    }

    /// The address of what is below the service's own.
    fn address(&self, target: &Target<'_>) -> Result<Url, Failure> {
        let base = self.base.clone().or_else(|| self.tokens.base());
        let mut url = base.ok_or_else(|| Failure::NoToken("the catalog has no placement".to_owned()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(target.path);
        }
        url.set_query(None);
        if !target.query.is_empty() {
            url.query_pairs_mut().extend_pairs(target.query);
        }
        Ok(url)
    }

    /// Reads something.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        patience: Duration,
    ) -> Result<T, Failure> {
        understood(self.send(Target { method: Method::GET, path, query, body: None }, patience).await?)
    }

    /// Sends JSON.
    pub async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &Value,
        patience: Duration,
    ) -> Result<T, Failure> {
        understood(self.send(Target { method, path, query: &[], body: Some(body) }, patience).await?)
    }

    /// Deletes something.
    pub async fn delete(&self, path: &[&str], patience: Duration) -> Result<(), Failure> {
        let target = Target { method: Method::DELETE, path, query: &[], body: None };
        self.send(target, patience).await.map(drop)
    }

    /// The body of the answer, if that is a success. A token that is refused is replaced, once, if another
    /// one can be had.
    async fn send(&self, target: Target<'_>, patience: Duration) -> Result<Vec<u8>, Failure> {
        let began = Moment::now();
        let until = Instant::now() + patience;
        let slow = |_| Failure::away("no token comes in time".to_owned(), false);
        let token = timeout_at(until, self.tokens.get()).await.map_err(slow)??;
        let refused = match (self.exchange(&target, token.as_ref(), until).await, &token) {
            (Err(refused @ Failure::Refused { status: status @ (401 | 403), .. }), Some(token)) => {
                let replaced = self.tokens.replace(token, status, began);
                match timeout_at(until, replaced).await.map_err(slow)?? {
                    Some(other) => return self.exchange(&target, Some(&other), until).await,
                    None => refused,
                }
            }
            (answer, _) => return answer,
        };
        Err(self.explained(refused))
    }

    /// A refusal that also says why there is no other token, if there is none.
    fn explained(&self, refused: Failure) -> Failure {
        match (refused, self.tokens.missing()) {
            (Failure::Refused { status: status @ 401, code, detail }, Some(missing)) => Failure::Refused {
                status,
                code,
                detail: format!("{detail}; no other token can be had: {missing}"),
            },
            (refused, _) => refused,
        }
    }

    async fn exchange(
        &self,
        target: &Target<'_>,
        token: Option<&Token>,
        until: Instant,
    ) -> Result<Vec<u8>, Failure> {
        let patience = until.saturating_duration_since(Instant::now());
        let mut request = self.http.request(target.method.clone(), self.address(target)?).timeout(patience);
        if let Some(token) = token {
            request = request.header(AUTH_TOKEN, token.value());
        }
        if let Some(body) = target.body {
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

/// The seconds of a `Retry-After`. A date counts as no time.
fn seconds(header: Option<&HeaderValue>) -> Duration {
    let seconds = header.and_then(|header| header.to_str().ok()?.trim().parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs)
}

//! The HTTP client with which the commands `lock` and `tickets` call the service.

use std::path::PathBuf;
use std::time::Duration;

use allotment::tls_roots;
use clap::Args;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::clock::Moment;
use super::cloud::Cloud;
use super::failure::Failure;
use super::token::{self, Source, Token, Tokens};

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// The time limit for a connection to the service.
const CONNECTING: Duration = Duration::from_secs(10);

/// The options for the service's address and for the token.
#[derive(Args)]
pub struct Access {
    /// Address of the service, such as http://127.0.0.1:8778 [default: the one in Keystone's catalog, after a
    /// log-in with the OS_ variables]
    #[arg(long, value_name = "URL", value_parser = base_url)]
    url: Option<Url>,
    /// Token to send as X-Auth-Token. Other users can see the arguments of a process, so the environment is the
    /// better place: ALLOTMENT_TOKEN or OS_TOKEN. With noauth2: admin, or USER:PROJECT
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Shell command that prints a token. It runs when there is no token yet, and again when the service
    /// refuses the token. Without this option, OS_AUTH_URL and the other OS_ variables of OpenStack's clients
    /// are used to log in, with OS_PASSWORD or an application credential
    #[arg(long, value_name = "COMMAND")]
    token_command: Option<String>,
    /// PEM file with the certificate authorities for https URLs, in place of the system's [default: OS_CACERT]
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
struct Request<'a> {
    method: Method,
    /// The segments of the path after the service's URL, without slashes.
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    body: Option<&'a Value>,
}

/// An HTTP client for the service, with the tokens for the requests.
pub struct Service {
    http: reqwest::Client,
    /// The service's URL from `--url`, or `None` if the URL comes from Keystone's catalog.
    base: Option<Url>,
    tokens: Tokens,
}

impl Service {
    /// Reads the CA file, and makes a client with these options. The client does not connect yet.
    pub fn new(access: &Access) -> Result<Service, String> {
        let mut headers = HeaderMap::new();
        headers.insert("openstack-api-version", HeaderValue::from_static("placement latest"));
        headers.insert("accept", HeaderValue::from_static("application/json"));
        let cloud = Cloud::from_env();
        let ca_file = access.ca_file.clone().or_else(|| cloud.get("OS_CACERT").map(PathBuf::from));
        let tls = tls_roots::client_config(ca_file.as_deref()).map_err(|error| error.to_string())?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .default_headers(headers)
            .connect_timeout(CONNECTING)
            // A redirection is not followed, so that the token never reaches another host.
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
                return Err("--url is needed unless the OS_ variables log in at Keystone".to_owned());
            }
        };
        let tokens = Tokens::new(given.as_deref(), source, endpoint)?;
        Ok(Service { http, base: access.url.clone(), tokens })
    }

    /// Returns the full URL of a request.
    fn address(&self, request: &Request<'_>) -> Result<Url, Failure> {
        let base = self.base.clone().or_else(|| self.tokens.base());
        let mut url = base.ok_or_else(|| Failure::NoToken("the catalog has no placement".to_owned()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(request.path);
        }
        url.set_query(None);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query);
        }
        Ok(url)
    }

    /// Sends a GET and parses the JSON answer. `patience` is the time limit.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        patience: Duration,
    ) -> Result<T, Failure> {
        understood(self.send(Request { method: Method::GET, path, query, body: None }, patience).await?)
    }

    /// Sends a JSON body with `method` and parses the JSON answer. `patience` is the time limit.
    pub async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &Value,
        patience: Duration,
    ) -> Result<T, Failure> {
        understood(self.send(Request { method, path, query: &[], body: Some(body) }, patience).await?)
    }

    /// Sends a DELETE. `patience` is the time limit.
    pub async fn delete(&self, path: &[&str], patience: Duration) -> Result<(), Failure> {
        let request = Request { method: Method::DELETE, path, query: &[], body: None };
        self.send(request, patience).await.map(drop)
    }

    /// Sends a request, and returns the body of a successful answer. If the service refuses the token, the
    /// request is sent once more with a new token, if a new token is available.
    async fn send(&self, request: Request<'_>, patience: Duration) -> Result<Vec<u8>, Failure> {
        let began = Moment::now();
        let until = Instant::now() + patience;
        let slow = |_| Failure::away("no token came in time".to_owned(), false);
        let token = timeout_at(until, self.tokens.get()).await.map_err(slow)??;
        let refused = match (self.exchange(&request, token.as_ref(), until).await, &token) {
            (Err(refused @ Failure::Refused { status: status @ (401 | 403), .. }), Some(token)) => {
                let replaced = self.tokens.replace(token, status, began);
                match timeout_at(until, replaced).await.map_err(slow)?? {
                    Some(other) => return self.exchange(&request, Some(&other), until).await,
                    None => refused,
                }
            }
            (answer, _) => return answer,
        };
        Err(self.explained(refused))
    }

    /// Adds to a refusal with status 401 why no new token is available.
    fn explained(&self, refused: Failure) -> Failure {
        match (refused, self.tokens.missing()) {
            (Failure::Refused { status: status @ 401, code, detail }, Some(missing)) => Failure::Refused {
                status,
                code,
                detail: format!("{detail}; there is no other token: {missing}"),
            },
            (refused, _) => refused,
        }
    }

    async fn exchange(
        &self,
        request: &Request<'_>,
        token: Option<&Token>,
        until: Instant,
    ) -> Result<Vec<u8>, Failure> {
        let patience = until.saturating_duration_since(Instant::now());
        let (method, address) = (request.method.clone(), self.address(request)?);
        let mut sent = self.http.request(method, address).timeout(patience);
        if let Some(token) = token {
            sent = sent.header(AUTH_TOKEN, token.value());
        }
        if let Some(body) = request.body {
            sent = sent.json(body);
        }
        let response = sent.send().await.map_err(|error| away(&error))?;
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
        // A load balancer sends one of these statuses if it can't reach the service. So a repeated request
        // may succeed.
        if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
            return Err(Failure::Away { cause: detail, was_sent: true, retry_after });
        }
        Err(Failure::Refused { status: status.as_u16(), code, detail })
    }
}

fn understood<T: DeserializeOwned>(body: Vec<u8>) -> Result<T, Failure> {
    serde_json::from_slice(&body)
        .map_err(|error| Failure::away(format!("the answer does not come from allotment: {error}"), true))
}

/// Returns the failure for an error of the network. The innermost error names the cause.
fn away(error: &reqwest::Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let place =
        error.url().map_or_else(String::new, |url| format!("{}://{}: ", url.scheme(), url.authority()));
    Failure::away(format!("{place}{cause}"), !error.is_connect())
}

/// Returns the number of seconds in a header `Retry-After`. A missing header or a date counts as zero.
fn seconds(header: Option<&HeaderValue>) -> Duration {
    let seconds = header.and_then(|header| header.to_str().ok()?.trim().parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs)
}

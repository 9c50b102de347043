//! The client that asks Keystone whether tokens are valid. The requests carry the service's own token.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{StatusCode, Url, redirect};
use serde::Deserialize;
use tokio::sync::{Mutex, Semaphore};

use super::answer;
use super::log_in::{LogIn, SUBJECT_TOKEN, in_trace, tokens_of};
use super::settings::{Interface, Settings};
use super::token::{Body, Validated};
use crate::setting::Unusable;
use crate::{clock, tls_roots};

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// The header with which the service tells Keystone that it enforces access rules. Without this header,
/// Keystone refuses to validate a token that has access rules.
const ACCESS_RULES: HeaderName = HeaderName::from_static("openstack-identity-access-rules");

/// The service renews its own token 60 seconds before the token expires. If the whole lifetime of the token
/// is shorter than 240 seconds, the service renews the token when a quarter of the lifetime is left.
const MARGIN: Duration = Duration::from_secs(60);

/// The reason why a token was not validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Keystone says that the token is unknown or has expired.
    Invalid,
    /// Keystone did not answer, or its answer is unusable. The text is for the log.
    Unavailable(String),
}

fn unavailable<T>(cause: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Unavailable(cause.into()))
}

/// The client of Keystone, shared by all threads.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    log_in: LogIn,
    interface: Interface,
    region: Option<String>,
    timeout: Duration,
    /// The service's own token. A task that finds no usable token holds this lock until it has a new token.
    own: Mutex<Option<Arc<Own>>>,
    places: Semaphore,
}

/// The service's own token. Each request for the validation of a client's token carries this token.
#[derive(Debug)]
struct Own {
    token: HeaderValue,
    renew: SystemTime,
    tokens: Url,
}

impl Client {
    /// Reads the CA file, and makes a client. The client does not connect to Keystone yet.
    pub fn new(settings: &Settings) -> Result<Self, Unusable> {
        let unusable = |key, problem: String| Unusable { key, problem };
        let key =
            if settings.own_files().is_some() { "auth.keystone.cert_file" } else { "auth.keystone.ca_file" };
        let tls = tls_roots::Client {
            ca_file: settings.ca_file.as_deref(),
            own: settings.own_files(),
            is_insecure: settings.insecure,
        };
        let tls = tls.config().map_err(|error| unusable(key, error.to_string()))?;
        if settings.insecure {
            log::warn!(
                "auth.keystone.insecure is true: any server that answers in place of Keystone is believed"
            );
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(Duration::from_secs(settings.connect_seconds))
            .pool_max_idle_per_host(settings.connections)
            // A redirection is not followed, because the request has tokens, which another host must not get.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("allotment/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| unusable("auth.keystone", error.to_string()))?;
        Ok(Self {
            log_in: LogIn::new(settings, http.clone())?,
            http,
            interface: settings.interface,
            region: settings.region_name.clone().filter(|name| !name.is_empty()),
            timeout: Duration::from_secs(settings.timeout_seconds),
            own: Mutex::new(None),
            places: Semaphore::new(settings.connections),
        })
    }

    /// Checks that the service can get its own token.
    pub async fn try_out(&self) -> Result<(), Failure> {
        self.in_time(self.own()).await.map(drop)
    }

    /// Gets the service's own token, and asks Keystone to validate it.
    pub async fn validate_own(&self) -> Result<Validated, Failure> {
        let own = self.in_time(self.own()).await?;
        self.in_time(self.ask(own.token.clone(), false)).await
    }

    /// Asks Keystone to validate a token. An expired token is accepted only if `allow_expired` is true.
    pub async fn validate(&self, token: &str, allow_expired: bool) -> Result<Validated, Failure> {
        let Ok(mut subject) = HeaderValue::from_str(token) else {
            return Err(Failure::Invalid);
        };
        subject.set_sensitive(true);
        let answer = self.in_time(self.ask(subject, allow_expired)).await;
        if let Err(Failure::Unavailable(cause)) = &answer {
            log::error!("Keystone cannot be asked about a token: {cause}");
        }
        answer
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        match tokio::time::timeout(self.timeout, work).await {
            Ok(done) => done,
            Err(_) => unavailable(format!("no answer within {} s", self.timeout.as_secs())),
        }
    }

    async fn ask(&self, subject: HeaderValue, allow_expired: bool) -> Result<Validated, Failure> {
        // `acquire` fails only on a closed semaphore, and this semaphore is never closed.
        let _place = self.places.acquire().await;
        for _ in 0..2 {
            let own = self.own().await?;
            let mut url = own.tokens.clone();
            url.set_query(Some(if allow_expired { "nocatalog&allow_expired=1" } else { "nocatalog" }));
            let request = self
                .http
                .get(url)
                .header(AUTH_TOKEN, own.token.clone())
                .header(SUBJECT_TOKEN, subject.clone())
                .header(ACCESS_RULES, "1");
            let response = in_trace(request)
                .send()
                .await
                .map_err(|error| Failure::Unavailable(answer::network(&error)))?;
            match response.status() {
                StatusCode::OK => {
                    return Ok(answer::read::<Body>(response).await.map_err(Failure::Unavailable)?.into());
                }
                StatusCode::NOT_FOUND => {
                    // A web server that is not Keystone also answers 404, but without this JSON body.
                    return match answer::read::<Refused>(response).await {
                        Ok(Refused { error: Code { code: 404 } }) => Err(Failure::Invalid),
                        _ => unavailable(format!("there is no Keystone at {}", own.tokens)),
                    };
                }
                StatusCode::UNAUTHORIZED => self.forget(&own).await,
                StatusCode::FORBIDDEN => {
                    return unavailable(
                        "403: our own user may not validate tokens; the role \"service\" in its project \
                         would let it",
                    );
                }
                other => return unavailable(format!("it answered {other}")),
            }
        }
        unavailable("it does not accept the token that it has just issued")
    }

    /// Returns the service's own token. If the token will expire soon, gets a new token first.
    async fn own(&self) -> Result<Arc<Own>, Failure> {
        let mut own = self.own.lock().await;
        match &*own {
            Some(known) if clock::now() < known.renew => Ok(known.clone()),
            _ => {
                let new = Arc::new(self.log_in().await?);
                *own = Some(new.clone());
                Ok(new)
            }
        }
    }

    /// Drops the service's own token after Keystone has refused the token `refused`. Does nothing if another
    /// task has replaced the token already.
    async fn forget(&self, refused: &Arc<Own>) {
        let mut own = self.own.lock().await;
        if own.as_ref().is_some_and(|own| Arc::ptr_eq(own, refused)) {
            *own = None;
        }
    }

    async fn log_in(&self) -> Result<Own, Failure> {
        let issued = self.log_in.log_in().await.or_else(|error| unavailable(error.to_string()))?;
        let url = issued.endpoint("identity", self.interface, self.region.as_deref());
        let Some(url) = url.and_then(|url| Url::parse(url).ok()) else {
            return unavailable(format!(
                "its catalog has no {} endpoint of identity in {}",
                self.interface.as_str(),
                self.region
                    .as_deref()
                    .map_or_else(|| "any region".to_owned(), |name| format!("region {name:?}")),
            ));
        };
        let renew = renewal(clock::now(), issued.expires());
        Ok(Own { token: issued.token().clone(), renew, tokens: tokens_of(url) })
    }
}

fn renewal(now: SystemTime, end: SystemTime) -> SystemTime {
    let lasts = end.duration_since(now).unwrap_or_default();
    now + lasts - MARGIN.min(lasts / 4)
}

/// The body of Keystone's answer with status 404.
#[derive(Deserialize)]
struct Refused {
    error: Code,
}

#[derive(Deserialize)]
struct Code {
    code: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_its_end() {
        let now = clock::now();
        for (lasts, until_renewal) in [(3600, 3540), (100, 75), (0, 0)] {
            let renew = renewal(now, now + Duration::from_secs(lasts));
            assert_eq!(renew.duration_since(now).unwrap().as_secs(), until_renewal);
        }
        assert_eq!(renewal(now, now - MARGIN), now);
    }
}

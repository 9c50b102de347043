//! Authentication by tokens of Keystone: what Keystone says of a token holds, and nothing else.
//!
//! - `settings`, `credentials`: where Keystone is, and who we are to it
//! - `log_in`: gets a token for credentials
//! - `client`: asks Keystone, with a token of our own
//! - `answer`: reads what Keystone answers
//! - `token`: what Keystone tells of a token
//! - `cache`: tokens that Keystone has told about; one question a token
//! - `access_rules`: the requests that an application credential may be limited to

mod access_rules;
mod answer;
mod cache;
mod client;
mod credentials;
mod log_in;
mod settings;
mod token;

use std::sync::Arc;

use self::access_rules::{AccessRule, Asked};
use self::cache::Cache;
use self::client::{Client, Failure};
use self::token::Validated;
use super::{Error, Identity, Presented};

pub use self::log_in::{Issued, LogIn, NoToken};
pub use self::settings::{Interface, Secret, Settings, TEXT_KEYS, Unusable};

/// No token of Keystone is nearly as long; with more the answer is known without a question.
const LONGEST_TOKEN: usize = 8 << 10;

const NOT_VALID: Error = Error::Unknown("Keystone does not know its token, or not any more");
const SERVICE_NOT_VALID: Error = Error::Unknown("Keystone does not know its service token, or not any more");
const NO_SERVICE: Error = Error::Unknown("its service token has none of the roles of services");
const OUT_OF_RULES: Error = Error::Unknown("the access rules of its application credential do not allow it");

/// Keystone, as far as we need it.
#[derive(Debug)]
pub struct Keystone {
    client: Client,
    cache: Cache,
    service_token_roles: Vec<String>,
    service_type: String,
    challenge: String,
}

impl Keystone {
    /// Reads the CA file, and connects to nobody yet. The settings must have been checked.
    pub fn new(settings: &Settings) -> Result<Self, Unusable> {
        let uri = settings.www_authenticate_uri.as_deref().unwrap_or(&settings.auth_url);
        Ok(Self {
            client: Client::new(settings)?,
            cache: Cache::new(settings.cache_size, settings.cache_time()),
            service_token_roles: settings.service_token_roles.clone(),
            service_type: settings.service_type.clone(),
            challenge: format!("Keystone uri=\"{uri}\""),
        })
    }

    /// What a refused request is told about where to get a token.
    #[must_use]
    pub fn challenge(&self) -> &str {
        &self.challenge
    }

    /// Gets a token of our own, so that wrong settings show at the start. Nothing depends on it:
    /// Keystone may come later than we do.
    pub async fn try_out(&self) -> Result<(), Error> {
        self.client.try_out().await.map_err(|failure| failure.told(NOT_VALID))
    }

    /// Who sent the request: the user of its token.
    ///
    /// With a service token beside it the user's token may have expired, as that of a long task has
    /// in the end. A service token that is none is refused, whatever the user's is.
    pub async fn authenticate<'h, F>(&self, request: Presented<'_, F>) -> Result<Identity, Error>
    where
        F: Fn(&str) -> Option<&'h str>,
    {
        let filled = |name| (request.header)(name).map(str::trim).filter(|token| !token.is_empty());
        let token = filled("x-auth-token").ok_or(Error::NO_TOKEN)?;
        let service = match filled("x-service-token") {
            Some(token) => Some(self.service(token).await?),
            None => None,
        };
        let validated =
            self.validate(token, service.is_some()).await.map_err(|failure| failure.told(NOT_VALID))?;
        if let Some(rules) = &validated.access_rules
            // A service acts for what it was asked to do itself, which was looked at there.
            && service.is_none()
            && !self.is_allowed(rules, &request)
        {
            return Err(OUT_OF_RULES);
        }
        let mut identity = validated.identity.clone();
        identity.service = service.map(|service| Arc::new(service.identity.clone()));
        Ok(identity)
    }

    fn is_allowed<F>(&self, rules: &[AccessRule], request: &Presented<'_, F>) -> bool {
        let asked = Asked { method: request.method, path: request.path, base_path: request.base_path };
        access_rules::allow(rules, &self.service_type, asked)
    }

    /// The service that a service token is of.
    async fn service(&self, token: &str) -> Result<Arc<Validated>, Error> {
        let service = self.validate(token, false).await.map_err(|failure| failure.told(SERVICE_NOT_VALID))?;
        if service.identity.roles.iter().any(|role| self.service_token_roles.contains(role)) {
            Ok(service)
        } else {
            Err(NO_SERVICE)
        }
    }

    async fn validate(&self, token: &str, allow_expired: bool) -> Result<Arc<Validated>, Failure> {
        if token.len() > LONGEST_TOKEN {
            return Err(Failure::Invalid);
        }
        let ask = |allow_expired| self.client.validate(token, allow_expired);
        self.cache.get_or_ask(token, allow_expired, ask).await
    }
}

impl Failure {
    fn told(self, invalid: Error) -> Error {
        match self {
            Failure::Invalid => invalid,
            Failure::Unavailable(cause) => Error::Unavailable(cause),
        }
    }
}

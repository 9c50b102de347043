//! Authentication by tokens of Keystone, the identity service of OpenStack. Keystone validates each token.
//!
//! - `settings`, `credentials`, `check`: the URL of Keystone, the service's own credentials, and the checks
//!   of both
//! - `log_in`: gets a token for credentials
//! - `client`: asks Keystone whether a token is valid, with the service's own token
//! - `answer`: reads Keystone's answers
//! - `token`: a validated token
//! - `cache`: stores validated tokens for some minutes
//! - `access_rules`: the requests that a token of an application credential allows

mod access_rules;
mod answer;
mod cache;
mod check;
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
use crate::setting::Unusable;

pub use self::log_in::{Issued, LogIn, NoToken};
pub use self::settings::{Interface, Secret, Settings, TEXT_KEYS};

/// The longest accepted token, in bytes. All tokens of Keystone are shorter.
const LONGEST_TOKEN: usize = 8 << 10;

const NOT_VALID: Error = Error::Unknown("Keystone does not know its token, or no longer knows it");
const SERVICE_NOT_VALID: Error =
    Error::Unknown("Keystone does not know its service token, or no longer knows it");
const NO_SERVICE: Error = Error::Unknown("its service token has none of the roles of services");
const OUT_OF_RULES: Error = Error::Unknown("the access rules of its application credential do not allow it");

/// Authenticates requests by tokens of Keystone.
#[derive(Debug)]
pub struct Keystone {
    client: Client,
    cache: Cache,
    service_token_roles: Vec<String>,
    service_type: String,
    challenge: String,
}

impl Keystone {
    /// Reads the CA file, but does not connect to Keystone yet. The caller must have checked the settings.
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

    /// Returns the value of the header `WWW-Authenticate` for an answer with status 401.
    #[must_use]
    pub fn challenge(&self) -> &str {
        &self.challenge
    }

    /// Gets the service's own token at the start, so that wrong settings are logged early. After a failure,
    /// the service starts nevertheless, since Keystone may start later.
    pub async fn try_out(&self) -> Result<(), Error> {
        self.client.try_out().await.map_err(|failure| failure.told(NOT_VALID))
    }

    /// Gets the service's own token, and has Keystone validate this token as it validates those of clients. Returns the
    /// identity of the service's user.
    pub async fn validate_own(&self) -> Result<Identity, Error> {
        let validated = self.client.validate_own().await.map_err(|failure| failure.told(NOT_VALID))?;
        Ok(validated.identity)
    }

    /// Returns the identity of the user whose token is in the request.
    ///
    /// A request may also have a service token: the token of an OpenStack service that forwards the user's request.
    /// With a service token, an expired token of the user is accepted, since a long task of the service may outlast the
    /// user's token. If the service token is invalid, the request is refused, even if the user's token is valid.
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
            // A service that forwards a user's request has already checked the access rules of the user's token.
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

    /// Validates a service token. Fails if the token has none of the roles in the setting `service_token_roles`.
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

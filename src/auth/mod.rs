//! Authentication and authorization: the identity behind a request, and its rights.

mod error;
mod identity;
pub mod keystone;
pub mod noauth2;
pub mod policy;
mod settings;

pub use error::Error;
pub use identity::{Identity, TokenScope};
pub use keystone::Keystone;
pub use settings::{AuthSettings, AuthStrategy};

/// The parts of a request that authentication uses.
///
/// `header` looks a header up by its name. A value that is not visible ASCII counts as absent.
pub struct Presented<'a, F> {
    /// The headers.
    pub header: F,
    /// The method, in capitals.
    pub method: &'a str,
    /// The path that is routed, decoded and without the query string. It is empty if no route can have it.
    pub path: &'a str,
    /// The `base_path` of the settings, such as `/placement`, or an empty text.
    pub base_path: &'a str,
}

/// The way in which requests are authenticated.
#[derive(Debug)]
pub enum Authenticator {
    /// The headers of a request are believed.
    Noauth2,
    /// Keystone validates the token of a request.
    Keystone(Box<Keystone>),
}

impl Authenticator {
    /// The identity behind a request.
    pub async fn authenticate<'h, F>(&self, request: Presented<'_, F>) -> Result<Identity, Error>
    where
        F: Fn(&str) -> Option<&'h str>,
    {
        match self {
            Self::Noauth2 => noauth2::authenticate(request.header).ok_or(Error::NO_TOKEN),
            Self::Keystone(keystone) => keystone.authenticate(request).await,
        }
    }

    /// The headers that authentication reads, in lower case.
    #[must_use]
    pub fn headers(&self) -> &'static [&'static str] {
        match self {
            Self::Noauth2 => &noauth2::HEADERS,
            Self::Keystone(_) => &["x-auth-token", "x-service-token"],
        }
    }

    /// The value of `WWW-Authenticate` for a refused request, which tells where tokens come from.
    #[must_use]
    pub fn challenge(&self) -> Option<&str> {
        match self {
            Self::Noauth2 => None,
            Self::Keystone(keystone) => Some(keystone.challenge()),
        }
    }
}

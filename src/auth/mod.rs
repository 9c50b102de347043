//! Who is asking, and may they.

mod error;
mod identity;
pub mod keystone;
pub mod noauth2;
pub mod policy;

pub use error::Error;
pub use identity::{Identity, Scope};
pub use keystone::Keystone;

/// What a request says of who sent it.
///
/// `header` looks a header up by its name; what is not visible ASCII counts as absent.
pub struct Presented<'a, F> {
    /// The headers.
    pub header: F,
    /// The method, in capitals.
    pub method: &'a str,
    /// The path that is routed: decoded, without the query string; empty if no route can have it.
    pub path: &'a str,
    /// The path below which the service is known by the settings, such as `/placement`, or nothing.
    pub base_path: &'a str,
}

/// Finds out who sent a request.
#[derive(Debug)]
pub enum Authenticator {
    /// Believes what the headers say.
    Noauth2,
    /// Believes Keystone alone.
    Keystone(Box<Keystone>),
}

impl Authenticator {
    /// Who sent the request.
    pub async fn authenticate<'h, F>(&self, request: Presented<'_, F>) -> Result<Identity, Error>
    where
        F: Fn(&str) -> Option<&'h str>,
    {
        match self {
            Self::Noauth2 => noauth2::authenticate(request.header).ok_or(Error::NO_TOKEN),
            Self::Keystone(keystone) => keystone.authenticate(request).await,
        }
    }

    /// The headers in which a request says who sent it, in lower case.
    #[must_use]
    pub fn headers(&self) -> &'static [&'static str] {
        match self {
            Self::Noauth2 => &noauth2::HEADERS,
            Self::Keystone(_) => &["x-auth-token", "x-service-token"],
        }
    }

    /// What a refused request is told about where to get a token, for `WWW-Authenticate`.
    #[must_use]
    pub fn challenge(&self) -> Option<&str> {
        match self {
            Self::Noauth2 => None,
            Self::Keystone(keystone) => Some(keystone.challenge()),
        }
    }
}

//! Authentication (which user sent a request) and authorization (whether the request is allowed).

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

/// The parts of a request that authentication reads.
///
/// `header` returns the value of a header, or `None` if the value is missing or not visible ASCII.
pub struct Presented<'a, F> {
    /// The function that returns a header's value.
    pub header: F,
    /// The HTTP method in capitals, such as `GET`.
    pub method: &'a str,
    /// The percent-decoded path, without the base path and the query string. Empty if no route can match the path.
    pub path: &'a str,
    /// The setting `base_path`, such as `/placement`, or an empty text.
    pub base_path: &'a str,
}

/// The means by which the service authenticates requests.
#[derive(Debug)]
pub enum Authenticator {
    /// The service takes the identity from the headers of a request, without any check.
    Noauth2,
    /// Keystone validates the token of a request.
    Keystone(Box<Keystone>),
}

impl Authenticator {
    /// Returns the identity of the user who sent the request.
    pub async fn authenticate<'h, F>(&self, request: Presented<'_, F>) -> Result<Identity, Error>
    where
        F: Fn(&str) -> Option<&'h str>,
    {
        match self {
            Self::Noauth2 => noauth2::authenticate(request.header).ok_or(Error::NO_TOKEN),
            Self::Keystone(keystone) => keystone.authenticate(request).await,
        }
    }

    /// Returns the names of the headers that authentication reads, in lower case.
    #[must_use]
    pub fn headers(&self) -> &'static [&'static str] {
        match self {
            Self::Noauth2 => &noauth2::HEADERS,
            Self::Keystone(_) => &["x-auth-token", "x-service-token"],
        }
    }

    /// Returns the value of the header `WWW-Authenticate` for an answer with status 401. The value names the
    /// address of Keystone.
    #[must_use]
    pub fn challenge(&self) -> Option<&str> {
        match self {
            Self::Noauth2 => None,
            Self::Keystone(keystone) => Some(keystone.challenge()),
        }
    }
}

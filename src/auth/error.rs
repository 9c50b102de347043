//! The errors of authentication.

/// A reason why authentication failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request has no valid token. The client is answered 401. The text is written to the log only.
    #[error("{0}")]
    Unknown(&'static str),
    /// Keystone can't validate the token at the moment. The text is written to the log only.
    #[error("{0}")]
    Unavailable(String),
}

impl Error {
    /// The error for a request without a token.
    pub const NO_TOKEN: Error = Error::Unknown("it has no token");
}

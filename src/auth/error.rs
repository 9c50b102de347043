//! The errors of authentication.

/// An error of authentication.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request has no valid credentials. The text is for the log.
    #[error("{0}")]
    Unknown(&'static str),
    /// Keystone cannot be asked. The text is for the log.
    #[error("{0}")]
    Unavailable(String),
}

impl Error {
    /// No token came with the request.
    pub const NO_TOKEN: Error = Error::Unknown("it has no token");
}

//! Why nobody is known to have sent a request.

/// How authentication can fail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request does not say who sent it, or not so that it can be believed; the text is for the log.
    #[error("{0}")]
    Unknown(&'static str),
    /// Whoever could tell is not available; the text is for the log.
    #[error("{0}")]
    Unavailable(String),
}

impl Error {
    /// No token came with the request.
    pub const NO_TOKEN: Error = Error::Unknown("it has no token");
}

//! The reasons why a request to the service fails.

use std::time::Duration;

/// The reason why a request failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The service did not answer, or answered with a status such as 503. The same request may succeed later.
    #[error("{cause}")]
    Away {
        /// A message about the cause.
        cause: String,
        /// Whether the service may have done the requested change.
        was_sent: bool,
        /// The time in the header `Retry-After`, or zero without that header.
        retry_after: Duration,
    },
    /// The service refused the request.
    #[error("{detail} ({status}{})", if code.is_empty() { String::new() } else { format!(" {code}") })]
    Refused {
        /// The HTTP status of the answer.
        status: u16,
        /// The code of the error, such as `placement.concurrent_update`, or an empty text.
        code: String,
        /// The message of the error.
        detail: String,
    },
    /// No token is available, and a repetition would not change that. The text is the reason.
    #[error("there is no token: {0}")]
    NoToken(String),
}

impl Failure {
    /// Makes a [`Failure::Away`] without a pause.
    pub fn away(cause: String, was_sent: bool) -> Failure {
        Failure::Away { cause, was_sent, retry_after: Duration::ZERO }
    }

    /// Returns whether a repetition of the request may succeed.
    pub fn may_pass(&self) -> bool {
        matches!(self, Failure::Away { .. })
    }

    /// Returns the pause that the service asked for in `Retry-After`, or zero.
    pub fn retry_after(&self) -> Duration {
        match self {
            Failure::Away { retry_after, .. } => *retry_after,
            Failure::Refused { .. } | Failure::NoToken(_) => Duration::ZERO,
        }
    }
}

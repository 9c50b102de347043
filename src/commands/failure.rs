//! The reasons for which a request to the service does not succeed.

use std::time::Duration;

/// The reason for which a request did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The service does not answer, or fails. A later try may succeed.
    #[error("{cause}")]
    Away {
        /// The cause, as a message.
        cause: String,
        /// Whether the service may have carried out the request.
        was_sent: bool,
        /// The pause that the service asks for.
        retry_after: Duration,
    },
    /// The service refuses.
    #[error("{detail} ({status}{})", if code.is_empty() { String::new() } else { format!(" {code}") })]
    Refused {
        /// The status of the answer.
        status: u16,
        /// The code of the error, such as `placement.concurrent_update`; empty if there is none.
        code: String,
        /// The message of the error.
        detail: String,
    },
    /// There is no token, and another try will not bring one.
    #[error("there is no token: {0}")]
    NoToken(String),
}

impl Failure {
    /// A failure with a cause and no pause.
    pub fn away(cause: String, was_sent: bool) -> Failure {
        Failure::Away { cause, was_sent, retry_after: Duration::ZERO }
    }

    /// Whether another try may succeed.
    pub fn may_pass(&self) -> bool {
        matches!(self, Failure::Away { .. })
    }

    /// The pause that the service asks for.
    pub fn retry_after(&self) -> Duration {
        match self {
            Failure::Away { retry_after, .. } => *retry_after,
            Failure::Refused { .. } | Failure::NoToken(_) => Duration::ZERO,
        }
    }
}

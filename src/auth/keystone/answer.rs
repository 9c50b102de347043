//! Reads the answers of Keystone.

use reqwest::Response;
use serde::Deserialize;

/// The longest accepted answer of Keystone, in bytes. Even an answer with the URLs of thousands of services is shorter.
const LONGEST: usize = 4 << 20;

/// Parses the JSON in an answer of Keystone. The error is a message for the log.
pub(super) async fn read<T: for<'de> Deserialize<'de>>(mut response: Response) -> Result<T, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| network(&error))? {
        if body.len() + chunk.len() > LONGEST {
            return Err(format!("its answer has more than {LONGEST} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|error| format!("its answer is not one of Keystone's: {error}"))
}

/// Returns a message for the log: the host of the request, and the innermost cause of a network error. The message
/// leaves out the outer errors, because the outer errors only say that the request failed.
pub(super) fn network(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let at = error.url().map(|url| format!("{}: ", url.origin().ascii_serialization()));
    format!("{}{cause}", at.unwrap_or_default())
}

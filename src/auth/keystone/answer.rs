//! The reading of Keystone's answers.

use reqwest::Response;
use serde::Deserialize;

/// The longest answer, in bytes. A catalog of thousands of endpoints fits.
const LONGEST: usize = 4 << 20;

/// The JSON of an answer, or a message about its fault.
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

/// The innermost cause of a network error. The outer errors add nothing to it.
pub(super) fn network(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let at = error.url().map(|url| format!("{}: ", url.origin().ascii_serialization()));
    format!("{}{cause}", at.unwrap_or_default())
}

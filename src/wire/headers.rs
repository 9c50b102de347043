//! Sets headers of responses.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// Sets a header. Does nothing if HTTP does not allow `value` in a header, for example because of a line break.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

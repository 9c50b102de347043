//! Headers of answers.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// Sets a header. A value that no header can have is left out.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

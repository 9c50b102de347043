//! The success response of a handler.

use std::future::Future;
use std::pin::Pin;

use actix_web::http::StatusCode;
use chrono::NaiveDateTime;
use serde::Serialize;

use crate::clock;
use crate::shared_text::SharedText;
use crate::wire::ApiError;

/// The result of a handler.
pub type HandlerResult = Result<Reply, ApiError>;

/// The future of a running handler.
pub type Answer = Pin<Box<dyn Future<Output = HandlerResult>>>;

/// The body of a reply.
#[derive(Debug)]
pub(crate) enum Body {
    None,
    Json(SharedText),
    Html(String),
    /// The content type, and the bytes of the text.
    Text(&'static str, Vec<u8>),
    /// The value could not be converted to JSON, and the client gets a 500. The text is the cause for the log.
    Broken(String),
}

/// A success response.
#[derive(Debug)]
pub struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Body,
    pub(crate) location: Option<String>,
    pub(crate) last_modified: Option<NaiveDateTime>,
    pub(crate) cache_control: Option<&'static str>,
}

impl Reply {
    /// Returns a reply whose body is `value` as JSON.
    #[must_use]
    pub fn json(status: StatusCode, value: &impl Serialize) -> Self {
        let body = match serde_json::to_vec(value) {
            Ok(bytes) => Body::Json(bytes.into()),
            Err(error) => Body::Broken(error.to_string()),
        };
        Self::new(status, body)
    }

    /// Returns a reply whose body is JSON already.
    #[must_use]
    pub fn raw_json(status: StatusCode, body: impl Into<SharedText>) -> Self {
        Self::new(status, Body::Json(body.into()))
    }

    /// Returns a reply whose body is an HTML page.
    #[must_use]
    pub fn html(status: StatusCode, page: String) -> Self {
        Self::new(status, Body::Html(page))
    }

    /// Returns a reply for health or metrics. Caches must not store the reply (`Cache-Control: no-store`).
    #[must_use]
    pub fn text(status: StatusCode, content_type: &'static str, text: impl Into<Vec<u8>>) -> Self {
        let reply = Self::new(status, Body::Text(content_type, text.into()));
        Self { cache_control: Some("no-store"), ..reply }
    }

    /// Returns a reply without a body and without a content type.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self::new(status, Body::None)
    }

    fn new(status: StatusCode, body: Body) -> Self {
        Self { status, body, location: None, last_modified: None, cache_control: None }
    }

    /// Adds the header `Location`. `path` is a path of the API. The response contains an absolute URL, with the
    /// host that the client used.
    #[must_use]
    pub fn location(self, path: impl Into<String>) -> Self {
        Self { location: Some(path.into()), ..self }
    }

    /// Adds the headers `Last-Modified` and `Cache-Control: no-cache`. If `time` is None, `Last-Modified` is the
    /// current time.
    ///
    /// Callers use this function only for microversions that have these headers.
    #[must_use]
    pub fn last_modified(self, time: Option<NaiveDateTime>) -> Self {
        let time = time.unwrap_or_else(clock::utc);
        Self { last_modified: Some(time), ..self }.no_cache()
    }

    /// Adds the header `Cache-Control: no-cache`.
    #[must_use]
    pub fn no_cache(self) -> Self {
        Self { cache_control: Some("no-cache"), ..self }
    }
}

/// Formats a time for an HTTP header: `Wed, 31 Jan 2024 10:00:00 GMT`.
pub(crate) fn http_date(time: NaiveDateTime) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 3).unwrap();
        let time = day.and_hms_micro_opt(0, 26, 37, 123_456).unwrap();
        assert_eq!(http_date(time), "Tue, 03 Nov 2026 00:26:37 GMT");
    }

    #[test]
    fn what_json_cannot_hold_is_remembered_for_the_log() {
        let keys_are_no_strings = std::collections::BTreeMap::from([(vec![1], 1)]);
        let reply = Reply::json(StatusCode::OK, &keys_are_no_strings);
        assert!(matches!(reply.body, Body::Broken(_)));
    }
}

//! Errors of the API: status, code and message in Placement's wording.

use std::fmt;

use actix_web::http::{Method, StatusCode};

use crate::metrics::conflicts::Entity;
use crate::wire::accept::Accept;
use crate::wire::code::Code;

/// The text before the message in `detail`.
#[derive(Clone, Debug)]
pub(crate) enum Lead {
    /// The sentence that belongs to the status.
    Stock,
    /// A sentence about this request. The message then ends without blanks.
    Request(String),
}

/// An error answer: what a handler returns instead of a reply.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The `code`, shown from 1.23 on.
    pub code: Code,
    /// The text that the client reads after the sentence of the status.
    pub message: String,
    /// The cause, for the log alone.
    pub cause: Option<Box<str>>,
    /// The methods in `Allow`, for a 405.
    pub allow: Option<Box<str>>,
    /// Whether the request was refused before its handler was chosen. Its answer then has no `Vary`.
    pub before_handler: bool,
    /// The setting whose limit the request exceeds, for the log.
    pub limit: Option<&'static str>,
    /// The code in the dialects of CNAPI, where it differs from the code that belongs to the status.
    pub word: Option<&'static str>,
    /// The text before the message.
    pub(crate) lead: Lead,
    entity: Option<Entity>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.message)
    }
}

impl ApiError {
    /// An error with any status and no code of its own.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code: Code::Undefined,
            message: message.into(),
            cause: None,
            allow: None,
            before_handler: false,
            limit: None,
            word: None,
            lead: Lead::Stock,
            entity: None,
        }
    }

    /// 400
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 with a code of its own.
    #[must_use]
    pub fn bad_request_with(code: Code, message: impl Into<String>) -> Self {
        Self::bad_request(message).with_code(code)
    }

    /// 403
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 405. `allow` lists the methods that the path has, if these shall be told.
    #[must_use]
    pub fn method_not_allowed(method: &Method, allow: Option<String>) -> Self {
        let message = match allow {
            Some(_) => "The method specified is not allowed for this resource.",
            None => "",
        };
        let sentence = format!("The method {method} is not allowed for this resource.");
        Self {
            allow: allow.map(Into::into),
            ..Self::about_request(StatusCode::METHOD_NOT_ALLOWED, sentence, message)
        }
    }

    /// 406
    #[must_use]
    pub fn not_acceptable(accept: &Accept, message: impl Into<String>) -> Self {
        let sentence = format!(
            "The resource could not be generated that was acceptable to your browser \
             (content of type {}.",
            accept.as_str()
        );
        Self::about_request(StatusCode::NOT_ACCEPTABLE, sentence, message)
    }

    /// 408
    #[must_use]
    pub fn body_too_slow(limit: u64) -> Self {
        let message = format!("The body must have arrived within {limit} seconds.");
        Self::new(StatusCode::REQUEST_TIMEOUT, message).limited_by("limits.body_seconds")
    }

    /// 409 that is final.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 409 whose code tells the client what to do.
    #[must_use]
    pub fn conflict_with(code: Code, message: impl Into<String>) -> Self {
        Self::conflict(message).with_code(code)
    }

    /// 413
    #[must_use]
    pub fn body_too_large(limit: usize) -> Self {
        let message = format!("The body may have at most {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message).limited_by("limits.body_bytes")
    }

    /// 414
    #[must_use]
    pub fn query_too_long(limit: usize) -> Self {
        let message = format!("The query string may have at most {limit} bytes.");
        Self::new(StatusCode::URI_TOO_LONG, message).limited_by("limits.query_bytes")
    }

    /// 400
    #[must_use]
    pub fn too_many_parameters(limit: usize) -> Self {
        let message = format!("The query string may have at most {limit} parameters.");
        Self::bad_request(message).limited_by("limits.query_parameters")
    }

    /// 415. `content_type` is the header with its parameters, if there was one.
    #[must_use]
    pub fn unsupported_media_type(content_type: Option<&str>) -> Self {
        let full = content_type.unwrap_or("None");
        let sentence = format!("The request media type {full} is not supported by this server.");
        let media_type = full.split(';').next().unwrap_or(full).trim();
        let message = format!("The media type {media_type} is not supported, use application/json");
        Self::about_request(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence, message)
    }

    /// 431
    #[must_use]
    pub fn headers_too_large(limit: usize) -> Self {
        let message = format!("The headers may have at most {limit} bytes.");
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, message).limited_by("limits.header_bytes")
    }

    /// 500. The cause is logged, and the client is not told.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        let error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "");
        Self { cause: Some(cause.to_string().into()), ..error }
    }

    /// 503. The database is away or overloaded, and the same request may succeed later.
    #[must_use]
    pub fn unavailable(cause: impl fmt::Display) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "The database is not available.");
        Self { cause: Some(cause.to_string().into()), ..error }
    }

    /// 503. The bodies of other requests take all the memory that bodies may take.
    #[must_use]
    pub fn too_many_bodies() -> Self {
        let message = "Too many bodies are being read at once. Please try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message).limited_by("limits.all_bodies_bytes")
    }

    /// 503. Keystone is away, so the token cannot be checked.
    #[must_use]
    pub fn keystone_unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The Keystone service is temporarily unavailable.")
    }

    /// The same error with a code.
    #[must_use]
    pub fn with_code(self, code: Code) -> Self {
        Self { code, ..self }
    }

    /// The same error with the setting that limits the request.
    #[must_use]
    pub fn limited_by(self, setting: &'static str) -> Self {
        Self { limit: Some(setting), ..self }
    }

    /// The same conflict with its subject.
    #[must_use]
    pub fn about(self, entity: Entity) -> Self {
        Self { entity: Some(entity), ..self }
    }

    /// The subject of a conflict. It is a provider's generation if the code says so and no other subject is set.
    #[must_use]
    pub fn entity(&self) -> Entity {
        let by_code = match self.code {
            Code::ConcurrentUpdate => Entity::ResourceProvider,
            _ => Entity::Other,
        };
        self.entity.unwrap_or(by_code)
    }

    /// The same error with a code of CNAPI.
    #[must_use]
    pub fn with_word(self, word: &'static str) -> Self {
        Self { word: Some(word), ..self }
    }

    pub(crate) fn before_handler(self) -> Self {
        Self { before_handler: true, ..self }
    }

    fn about_request(status: StatusCode, sentence: String, message: impl Into<String>) -> Self {
        Self { lead: Lead::Request(sentence), ..Self::new(status, message) }
    }

    /// The same error with the attempted action before its message. The message of a fault of the service stays.
    pub(crate) fn context(mut self, tried: impl fmt::Display) -> Self {
        if self.status.is_client_error() {
            self.message = format!("{tried}{}", self.message);
        }
        self
    }

    /// The same error with 400 in place of 404: the missing thing is named by the body or the query string.
    pub(crate) fn not_found_is_bad(mut self) -> Self {
        if self.status == StatusCode::NOT_FOUND {
            self.status = StatusCode::BAD_REQUEST;
        }
        self
    }
}

//! Errors of the API: status, code and message. The wording is that of OpenStack Placement.

use std::fmt;

use actix_web::http::{Method, StatusCode};

use crate::metrics::conflicts::Entity;
use crate::wire::accept::Accept;
use crate::wire::code::Code;

/// The sentence before the message in the `detail` field of an error body.
#[derive(Clone, Debug)]
pub(crate) enum Lead {
    /// The fixed sentence of the status, such as "Access was denied to this resource."
    Stock,
    /// A sentence about this request, such as "The method PUT is not allowed for this resource." The `detail` field
    /// then ends without the two blanks that follow the message after a fixed sentence.
    Request(String),
}

/// An error response. Handlers return this type instead of a reply.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The `code` field of the error body. The field exists from microversion 1.23 on.
    pub code: Code,
    /// The message for the client. The error body has the message after the sentence in `lead`.
    pub message: String,
    /// The cause of the error. The cause is only logged, and the client never gets the cause.
    pub cause: Option<Box<str>>,
    /// The value of the `Allow` header, such as `GET, PUT`. Only a 405 has this header.
    pub allow: Option<Box<str>>,
    /// True if the request was refused before a handler was chosen. The response then has no `Vary` header.
    pub before_handler: bool,
    /// The setting whose limit the request exceeds, such as `limits.body_bytes`. The setting is only logged.
    pub limit: Option<&'static str>,
    /// The `code` field in responses of the CNAPI dialects (tickets in the API of Triton). None selects the code
    /// that belongs to the status.
    pub word: Option<&'static str>,
    /// The sentence before the message.
    pub(crate) lead: Lead,
    entity: Option<Entity>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.message)
    }
}

impl ApiError {
    /// Returns an error with any status. Its code is `placement.undefined_code`.
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

    /// Returns a 400 with the code `placement.undefined_code`.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Returns a 400 with a specific code.
    #[must_use]
    pub fn bad_request_with(code: Code, message: impl Into<String>) -> Self {
        Self::bad_request(message).with_code(code)
    }

    /// Returns a 403.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// Returns a 404.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// Returns a 405. `allow` lists the methods of the path for the `Allow` header. With None, the response has no
    /// `Allow` header.
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

    /// Returns a 406.
    #[must_use]
    pub fn not_acceptable(accept: &Accept, message: impl Into<String>) -> Self {
        let sentence = format!(
            "The resource could not be generated that was acceptable to your browser \
             (content of type {}.",
            accept.as_str()
        );
        Self::about_request(StatusCode::NOT_ACCEPTABLE, sentence, message)
    }

    /// Returns a 408. `limit` is a number of seconds.
    #[must_use]
    pub fn body_too_slow(limit: u64) -> Self {
        let message = format!("The body must have arrived within {limit} seconds.");
        Self::new(StatusCode::REQUEST_TIMEOUT, message).limited_by("limits.body_seconds")
    }

    /// Returns a 409 with the code `placement.undefined_code`. This code does not ask the client to retry the
    /// request.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// Returns a 409 with a specific code. The client decides by the code whether to retry the request.
    #[must_use]
    pub fn conflict_with(code: Code, message: impl Into<String>) -> Self {
        Self::conflict(message).with_code(code)
    }

    /// Returns a 413. `limit` is a number of bytes.
    #[must_use]
    pub fn body_too_large(limit: usize) -> Self {
        let message = format!("The body may have at most {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message).limited_by("limits.body_bytes")
    }

    /// Returns a 414. `limit` is a number of bytes.
    #[must_use]
    pub fn query_too_long(limit: usize) -> Self {
        let message = format!("The query string may have at most {limit} bytes.");
        Self::new(StatusCode::URI_TOO_LONG, message).limited_by("limits.query_bytes")
    }

    /// Returns a 400 for a query string with more than `limit` parameters.
    #[must_use]
    pub fn too_many_parameters(limit: usize) -> Self {
        let message = format!("The query string may have at most {limit} parameters.");
        Self::bad_request(message).limited_by("limits.query_parameters")
    }

    /// Returns a 415. `content_type` is the request's `Content-Type` header with its parameters, or None without
    /// this header.
    #[must_use]
    pub fn unsupported_media_type(content_type: Option<&str>) -> Self {
        let full = content_type.unwrap_or("None");
        let sentence = format!("The request media type {full} is not supported by this server.");
        let media_type = full.split(';').next().unwrap_or(full).trim();
        let message = format!("The media type {media_type} is not supported, use application/json");
        Self::about_request(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence, message)
    }

    /// Returns a 431. `limit` is a number of bytes.
    #[must_use]
    pub fn headers_too_large(limit: usize) -> Self {
        let message = format!("The headers may have at most {limit} bytes.");
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, message).limited_by("limits.header_bytes")
    }

    /// Returns a 500. `cause` is only logged, and the client does not get the cause.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        let error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "");
        Self { cause: Some(cause.to_string().into()), ..error }
    }

    /// Returns a 503 for a database that can't be reached or is overloaded. The same request may succeed later.
    #[must_use]
    pub fn unavailable(cause: impl fmt::Display) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "The database is not available.");
        Self { cause: Some(cause.to_string().into()), ..error }
    }

    /// Returns a 503 for a body that does not fit into the memory shared by all bodies.
    #[must_use]
    pub fn too_many_bodies() -> Self {
        let message = "Too many bodies are being read at once. Please try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message).limited_by("limits.all_bodies_bytes")
    }

    /// Returns a 503 for a token that can't be validated, since Keystone (OpenStack's identity service) can't be
    /// reached.
    #[must_use]
    pub fn keystone_unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The Keystone service is temporarily unavailable.")
    }

    /// Returns the error with another code.
    #[must_use]
    pub fn with_code(self, code: Code) -> Self {
        Self { code, ..self }
    }

    /// Returns the error with the setting whose limit the request exceeds.
    #[must_use]
    pub fn limited_by(self, setting: &'static str) -> Self {
        Self { limit: Some(setting), ..self }
    }

    /// Returns the error with the kind of object that caused the conflict. The metrics count conflicts by this
    /// kind.
    #[must_use]
    pub fn about(self, entity: Entity) -> Self {
        Self { entity: Some(entity), ..self }
    }

    /// Returns the kind of object that caused the conflict: the kind from [`ApiError::about`], or else a resource
    /// provider for the code `placement.concurrent_update`, or else [`Entity::Other`].
    #[must_use]
    pub fn entity(&self) -> Entity {
        let by_code = match self.code {
            Code::ConcurrentUpdate => Entity::ResourceProvider,
            _ => Entity::Other,
        };
        self.entity.unwrap_or(by_code)
    }

    /// Returns the error with a specific `code` field for the CNAPI dialects.
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

    /// Puts the text `tried` (the attempted operation, such as `Unable to create inventory: `) before the message
    /// of a client error (4xx). Returns a server error (5xx) unchanged.
    pub(crate) fn context(mut self, tried: impl fmt::Display) -> Self {
        if self.status.is_client_error() {
            self.message = format!("{tried}{}", self.message);
        }
        self
    }

    /// Returns a 400 instead of a 404, and any other error unchanged. Callers use this function if the body or the
    /// query string, not the path, names the missing object.
    pub(crate) fn not_found_is_bad(mut self) -> Self {
        if self.status == StatusCode::NOT_FOUND {
            self.status = StatusCode::BAD_REQUEST;
        }
        self
    }
}

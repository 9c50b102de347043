//! Errors as clients see them: status, code and the body in Placement's wording.

use std::fmt;

use actix_web::http::{Method, StatusCode};
use serde_json::json;

use crate::db;
use crate::metrics::conflicts::Entity;
use crate::wire::accept::{Accept, ErrorFormat};
use crate::wire::microversion;
use crate::wire::microversion::{Microversion, V1_23};

/// The `code` of an error, by which a client decides what to do. Strings never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// No code of its own.
    Undefined,
    /// Inventory that allocations use cannot go.
    InventoryInUse,
    /// A generation is not the one that was stated: read again and retry.
    ConcurrentUpdate,
    /// The name or uuid is taken.
    DuplicateName,
    /// A provider that allocations use cannot go.
    ProviderInUse,
    /// A provider with children cannot go.
    CannotDeleteParent,
    /// No provider has this uuid.
    ProviderNotFound,
    /// A query parameter may not be repeated.
    DuplicateQueryKey,
    /// A query parameter has a value that does not do.
    BadQueryValue,
    /// A query parameter is missing.
    MissingQueryValue,
    /// A write was fenced by a ticket that is not active.
    NotActive,
    /// No ticket, or group of tickets, has this uuid.
    TicketNotFound,
    /// The ticket has ended already.
    TicketEnded,
}

impl Code {
    /// The string that clients read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undefined => "placement.undefined_code",
            Self::InventoryInUse => "placement.inventory.inuse",
            Self::ConcurrentUpdate => "placement.concurrent_update",
            Self::DuplicateName => "placement.duplicate_name",
            Self::ProviderInUse => "placement.resource_provider.inuse",
            Self::CannotDeleteParent => "placement.resource_provider.cannot_delete_parent",
            Self::ProviderNotFound => "placement.resource_provider.not_found",
            Self::DuplicateQueryKey => "placement.query.duplicate_key",
            Self::BadQueryValue => "placement.query.bad_value",
            Self::MissingQueryValue => "placement.query.missing_value",
            Self::NotActive => "placement.waitlist.not_active",
            Self::TicketNotFound => "placement.waitlist.ticket_not_found",
            Self::TicketEnded => "placement.waitlist.ended",
        }
    }
}

/// The text before the message in `detail`.
#[derive(Clone, Debug)]
enum Lead {
    /// The sentence that belongs to the status.
    Stock,
    /// A sentence about this very request; then the message ends without blanks.
    Request(String),
}

/// An error answer: what a handler returns instead of a reply.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The `code`, shown from 1.23 on.
    pub code: Code,
    /// The message to the client, after the sentence of its status.
    pub message: String,
    /// The cause, for the log only.
    pub cause: Option<Box<str>>,
    /// The methods for `Allow`, of a 405.
    pub allow: Option<Box<str>>,
    /// Whether the answer came about before a handler was chosen; it has no `Vary` then.
    pub before_handler: bool,
    /// The setting whose limit the request exceeds, for the log.
    pub limit: Option<&'static str>,
    /// The code in the dialects of CNAPI, where it is not the one that belongs to the status.
    pub word: Option<&'static str>,
    lead: Lead,
    entity: Option<Entity>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.message)
    }
}

impl From<db::Error> for ApiError {
    fn from(error: db::Error) -> Self {
        if error.is_retryable() {
            // It was run again many times already; now it is the client's turn.
            let message = "Another thread concurrently updated the data. Please retry your update";
            return ApiError::conflict_with(Code::ConcurrentUpdate, message).about(Entity::Other);
        }
        if error.is_unstorable_text() {
            return ApiError::bad_request(
                "A text in the request has characters that the tables of the service's database cannot \
                 hold, since their character set is not utf8mb4.",
            );
        }
        if let db::Error::Duplicate(_) = error {
            // The database takes a text of the request for the same as another one, and will do so at the
            // next try.
            log::warn!("{error}");
            let message = "The database already has what it takes for the same as something in the request.";
            return ApiError::conflict(message);
        }
        if error.is_unavailable() { ApiError::unavailable(error) } else { ApiError::internal(error) }
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

    /// 405; `allow` lists the methods that the path has, if that is known to help.
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

    /// 415; `content_type` is the header with its parameters, if there was one.
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

    /// 500: the log has the cause, the client learns nothing of it.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        let error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "");
        Self { cause: Some(cause.to_string().into()), ..error }
    }

    /// 503: the database is away or overloaded, and the same request may succeed later.
    #[must_use]
    pub fn unavailable(cause: impl fmt::Display) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "The database is not available.");
        Self { cause: Some(cause.to_string().into()), ..error }
    }

    /// 503: the bodies of other requests take all the memory that there is for them.
    #[must_use]
    pub fn too_many_bodies() -> Self {
        let message = "Too many bodies are being read at once. Please try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message).limited_by("limits.all_bodies_bytes")
    }

    /// 503: nobody can say whether the token is good.
    #[must_use]
    pub fn keystone_unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The Keystone service is temporarily unavailable.")
    }

    /// The same error with a code.
    #[must_use]
    pub fn with_code(self, code: Code) -> Self {
        Self { code, ..self }
    }

    /// The same error, known to come of a limit.
    #[must_use]
    pub fn limited_by(self, setting: &'static str) -> Self {
        Self { limit: Some(setting), ..self }
    }

    /// The same conflict, known to be about this.
    #[must_use]
    pub fn about(self, entity: Entity) -> Self {
        Self { entity: Some(entity), ..self }
    }

    /// The entity of a conflict: a provider's generation, unless another is known.
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

    fn title(&self) -> &'static str {
        title(self.status)
    }

    /// Content type and body, in the format that the client takes.
    ///
    /// `version` is absent while it is not known, in which case a 406 names the range.
    pub(crate) fn render(
        &self,
        format: ErrorFormat,
        version: Option<Microversion>,
        request_id: &str,
    ) -> (&'static str, String) {
        match format {
            ErrorFormat::Json => ("application/json", self.json(version, request_id)),
            ErrorFormat::Html => ("text/html; charset=UTF-8", self.html()),
            ErrorFormat::Plain => ("text/plain; charset=UTF-8", self.plain()),
        }
    }

    fn json(&self, version: Option<Microversion>, request_id: &str) -> String {
        let mut error = json!({
            "status": self.status.as_u16(),
            "title": self.title(),
            "detail": self.detail(),
        });
        if version.is_some_and(|version| version >= V1_23) {
            error["code"] = self.code.as_str().into();
        }
        error["request_id"] = request_id.into();
        if self.status == StatusCode::NOT_ACCEPTABLE && version.is_none() {
            error["max_version"] = microversion::MAX.to_string().into();
            error["min_version"] = microversion::MIN.to_string().into();
        }
        json!({"errors": [error]}).to_string()
    }

    fn plain(&self) -> String {
        format!("{} {}\n\n{}", self.status.as_u16(), self.title(), self.detail())
    }

    fn html(&self) -> String {
        let status = format!("{} {}", self.status.as_u16(), self.title());
        let sentence = match &self.lead {
            Lead::Stock => stock_sentence(self.status).to_owned(),
            Lead::Request(sentence) => format!("{sentence} "),
        };
        page(&status, &format!("{}<br /><br />\n{}", escape(&sentence), escape(&self.message)))
    }

    fn detail(&self) -> String {
        match &self.lead {
            Lead::Stock => {
                format!("{}\n\n {}  ", stock_sentence(self.status), one_line(&self.message))
            }
            Lead::Request(sentence) => {
                format!("{} \n\n {}", one_line(sentence), one_line(&self.message))
            }
        }
    }
}

/// The body of the answer to those who name no token. It has a shape of its own.
pub(crate) fn unauthorized(format: ErrorFormat) -> (&'static str, String) {
    let status = "401 Unauthorized";
    let sentence = stock_sentence(StatusCode::UNAUTHORIZED);
    match format {
        ErrorFormat::Json => {
            let message = format!("{sentence}<br /><br />\n\n\n");
            let body = json!({"message": message, "code": status, "title": "Unauthorized"});
            ("application/json", body.to_string())
        }
        ErrorFormat::Html => ("text/html; charset=UTF-8", page(status, &format!("{sentence}<br /><br />\n"))),
        ErrorFormat::Plain => ("text/plain; charset=UTF-8", format!("{status}\n\n{sentence}\n\n   ")),
    }
}

/// The body of a 401 where tokens are Keystone's.
pub(crate) fn no_valid_token() -> String {
    let message = "The request you have made requires authentication.";
    json!({"error": {"code": 401, "title": "Unauthorized", "message": message}}).to_string()
}

fn page(status: &str, body: &str) -> String {
    format!(
        "<html>\n <head>\n  <title>{status}</title>\n </head>\n <body>\n  <h1>{status}</h1>\n  \
         {body}\n\n\n </body>\n</html>"
    )
}

fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        StatusCode::URI_TOO_LONG => "Request-URI Too Long",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

/// The meaning of a status, in Placement's words.
pub(crate) fn stock_sentence(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => {
            "The server could not comply with the request since it is either malformed or \
             otherwise incorrect."
        }
        StatusCode::UNAUTHORIZED => {
            "This server could not verify that you are authorized to access the document you \
             requested."
        }
        StatusCode::FORBIDDEN => "Access was denied to this resource.",
        StatusCode::NOT_FOUND => "The resource could not be found.",
        StatusCode::REQUEST_TIMEOUT => "The request took too long to arrive.",
        StatusCode::CONFLICT => "There was a conflict when trying to complete your request.",
        StatusCode::PAYLOAD_TOO_LARGE => "The body of your request was too large for this server.",
        StatusCode::URI_TOO_LONG => "The request URI was too long for this server.",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "The headers of your request were too large for this server."
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            "The server is currently unavailable. Please try again at a later time."
        }
        _ => "The server has either erred or is incapable of performing the requested operation.",
    }
}

/// A message without line breaks and without anything that looks like an HTML tag.
///
/// osc-placement prints only the last line of `detail`, so a message must be one line.
fn one_line(message: &str) -> String {
    let flat: String = message
        .chars()
        .filter(|&character| character != '\r')
        .map(|character| if character == '\n' { ' ' } else { character })
        .collect();
    without_tags(&flat.replace("<!--", "").replace("-->", ""))
}

fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let Some(length) = rest[start..].find('>') else {
            break;
        };
        out.push_str(&rest[..start]);
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    out
}

/// Text as it stands in HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::wire::microversion::{MAX, V1_22};

    fn json_of(error: &ApiError, version: Option<Microversion>) -> Value {
        let (_, body) = error.render(ErrorFormat::Json, version, "req-1");
        serde_json::from_str::<Value>(&body).unwrap()["errors"][0].clone()
    }

    #[test]
    fn a_stock_error_has_its_sentence_and_two_blanks() {
        let error = ApiError::conflict_with(Code::ConcurrentUpdate, "line one\nline <b>two</b>\r");
        assert_eq!(
            json_of(&error, Some(MAX)),
            json!({
                "status": 409,
                "title": "Conflict",
                "detail": "There was a conflict when trying to complete your request.\n\n \
                           line one line two  ",
                "code": "placement.concurrent_update",
                "request_id": "req-1",
            })
        );
        assert_eq!(json_of(&error, Some(V1_22)).get("code"), None);
    }

    #[test]
    fn without_message_three_blanks_are_left() {
        let error = ApiError::not_found("");
        assert_eq!(json_of(&error, Some(MAX))["detail"], "The resource could not be found.\n\n   ");
    }

    #[test]
    fn three_statuses_speak_of_the_request() {
        let method = ApiError::method_not_allowed(&Method::DELETE, Some("GET".to_owned()));
        assert_eq!(
            json_of(&method, Some(MAX))["detail"],
            "The method DELETE is not allowed for this resource. \n\n \
             The method specified is not allowed for this resource."
        );
        let accept = Accept::new(Some("text/plain"));
        let acceptable = ApiError::not_acceptable(&accept, "Only application/json is provided");
        assert_eq!(
            json_of(&acceptable, Some(MAX))["detail"],
            "The resource could not be generated that was acceptable to your browser \
             (content of type text/plain. \n\n Only application/json is provided"
        );
        assert_eq!(
            json_of(&ApiError::unsupported_media_type(None), Some(MAX))["detail"],
            "The request media type None is not supported by this server. \n\n \
             The media type None is not supported, use application/json"
        );
        assert_eq!(
            json_of(&ApiError::unsupported_media_type(Some("text/plain; charset=x")), None)["detail"],
            "The request media type text/plain; charset=x is not supported by this server. \n\n \
             The media type text/plain is not supported, use application/json"
        );
    }

    #[test]
    fn a_bad_version_names_the_range_and_no_code() {
        let accept = Accept::new(None);
        let error = json_of(&ApiError::not_acceptable(&accept, "x"), None);
        assert_eq!(error["max_version"], "1.39");
        assert_eq!(error["min_version"], "1.0");
        assert_eq!(error.get("code"), None);
    }

    #[test]
    fn html_escapes_and_plain_starts_with_the_status() {
        let error = ApiError::not_found("no <b> & 'c'");
        let (content_type, body) = error.render(ErrorFormat::Html, Some(MAX), "req-1");
        assert!(content_type.starts_with("text/html"));
        assert!(body.contains("<h1>404 Not Found</h1>"));
        assert!(body.contains("no &lt;b&gt; &amp; &#x27;c&#x27;"));
        let (_, body) = error.render(ErrorFormat::Plain, Some(MAX), "req-1");
        assert!(body.starts_with("404 Not Found\n\nThe resource could not be found.\n\n no  & 'c'"));
    }

    #[test]
    fn the_cause_of_a_500_is_not_told() {
        let error = ApiError::internal("secret table");
        assert_eq!(error.cause.as_deref(), Some("secret table"));
        for format in [ErrorFormat::Json, ErrorFormat::Html, ErrorFormat::Plain] {
            assert!(!error.render(format, Some(MAX), "req-1").1.contains("secret"));
        }
    }
}

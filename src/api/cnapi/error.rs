//! Errors in the dialects of CNAPI, Triton's API: `{"code": "ResourceNotFound", "message": "…"}`.

use actix_web::http::StatusCode;
use serde_json::json;

use crate::waitlist::Error;
use crate::wire::error_body::stock_sentence;
use crate::wire::{ApiError, Code};

/// Returns the content type and the body of an error response.
pub(crate) fn render(error: &ApiError) -> (&'static str, String) {
    let message = if error.message.is_empty() { stock_sentence(error.status) } else { &error.message };
    // The client gets only the first line, because the other lines of a schema error quote the schema in Placement's
    // format.
    let message = message.lines().next().unwrap_or_default();
    ("application/json", json!({ "code": code(error), "message": message }).to_string())
}

fn code(error: &ApiError) -> &'static str {
    match error.status {
        StatusCode::BAD_REQUEST => error.word.unwrap_or("BadRequest"),
        StatusCode::UNAUTHORIZED => "InvalidCredentials",
        StatusCode::FORBIDDEN => "NotAuthorized",
        StatusCode::NOT_FOUND => "ResourceNotFound",
        StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowedError",
        StatusCode::REQUEST_TIMEOUT => "RequestTimeout",
        StatusCode::CONFLICT => error.word.unwrap_or("Conflict"),
        StatusCode::PRECONDITION_FAILED => "PreconditionFailed",
        StatusCode::PAYLOAD_TOO_LARGE => "RequestEntityTooLarge",
        StatusCode::URI_TOO_LONG => "RequestUriTooLarge",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "UnsupportedMediaType",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "RequestHeaderFieldsTooLarge",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        _ => "InternalError",
    }
}

/// Returns the error for an invalid argument: a 409 with the code `InvalidArgument`.
pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::conflict(message).with_word("InvalidArgument")
}

/// Converts a 400 that has no code of CNAPI (`word`) into the 409 of [`invalid`]. Returns any other error
/// unchanged.
pub(crate) fn as_invalid(error: ApiError) -> ApiError {
    if error.status == StatusCode::BAD_REQUEST && error.word.is_none() {
        invalid(error.message)
    } else {
        error
    }
}

/// Returns the error for a body that is not valid JSON or not a valid form: a 400 with the code `InvalidContent`.
pub(crate) fn broken(problem: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid JSON: {problem}")).with_word("InvalidContent")
}

/// Converts an error of the waitlist. The messages for a missing server and a missing ticket are those of CNAPI.
pub(crate) fn refused(error: Error) -> ApiError {
    match error {
        Error::OwnerNotFound(uuid) => ApiError::not_found(format!("no such server {uuid}")),
        Error::TicketNotFound(uuid) => {
            ApiError::not_found(format!("no such ticket {uuid}")).with_code(Code::TicketNotFound)
        }
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_status_has_a_code_of_its_own() {
        let statuses = [400, 401, 403, 404, 405, 408, 409, 412, 413, 414, 415, 431, 500, 503];
        let codes: BTreeSet<&str> = statuses
            .iter()
            .map(|status| code(&ApiError::new(StatusCode::from_u16(*status).unwrap(), "")))
            .collect();
        assert_eq!(codes.len(), statuses.len(), "{codes:?}");
    }
}

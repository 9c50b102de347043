//! The bodies of error responses, as JSON, HTML or plain text.

use actix_web::http::StatusCode;
use serde_json::json;

use crate::wire::accept::ErrorFormat;
use crate::wire::error::{ApiError, Lead};
use crate::wire::microversion;
use crate::wire::microversion::{Microversion, V1_23};

/// Returns the content type and the body of an error, in the format that the client accepts.
///
/// `version` is None for an error that occurs before the microversion of the request is known. In this case, a 406
/// states the oldest and the newest version.
pub(crate) fn render(
    error: &ApiError,
    format: ErrorFormat,
    version: Option<Microversion>,
    request_id: &str,
) -> (&'static str, String) {
    match format {
        ErrorFormat::Json => ("application/json", json_body(error, version, request_id)),
        ErrorFormat::Html => ("text/html; charset=UTF-8", html_body(error)),
        ErrorFormat::Plain => ("text/plain; charset=UTF-8", plain_body(error)),
    }
}

fn json_body(error: &ApiError, version: Option<Microversion>, request_id: &str) -> String {
    let mut body = json!({
        "status": error.status.as_u16(),
        "title": title(error.status),
        "detail": detail(error),
    });
    if version.is_some_and(|version| version >= V1_23) {
        body["code"] = error.code.as_str().into();
    }
    body["request_id"] = request_id.into();
    if error.status == StatusCode::NOT_ACCEPTABLE && version.is_none() {
        body["max_version"] = microversion::MAX.to_string().into();
        body["min_version"] = microversion::MIN.to_string().into();
    }
    json!({"errors": [body]}).to_string()
}

fn plain_body(error: &ApiError) -> String {
    format!("{} {}\n\n{}", error.status.as_u16(), title(error.status), detail(error))
}

fn html_body(error: &ApiError) -> String {
    let status = format!("{} {}", error.status.as_u16(), title(error.status));
    let sentence = match &error.lead {
        Lead::Stock => stock_sentence(error.status).to_owned(),
        Lead::Request(sentence) => format!("{sentence} "),
    };
    page(&status, &format!("{}<br /><br />\n{}", escape(&sentence), escape(&error.message)))
}

fn detail(error: &ApiError) -> String {
    match &error.lead {
        Lead::Stock => {
            format!("{}\n\n {}  ", stock_sentence(error.status), one_line(&error.message))
        }
        Lead::Request(sentence) => {
            format!("{} \n\n {}", one_line(sentence), one_line(&error.message))
        }
    }
}

/// Returns the content type and the body of a 401 of a service without Keystone (OpenStack's identity service). As
/// in Placement, the JSON form of this error differs from the JSON form of all other errors.
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

/// Returns the JSON body of a 401 of a service with Keystone. The body is the same as that of keystonemiddleware,
/// the Python library that checks tokens for OpenStack services.
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

/// Returns the fixed sentence for a status, in Placement's wording.
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

/// Returns a message without line breaks, HTML comments and HTML tags.
///
/// osc-placement, Placement's command line client, prints only the last line of `detail`. So the message must be a
/// single line.
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

/// Escapes a text for HTML.
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
    use actix_web::http::Method;
    use serde_json::Value;

    use super::*;
    use crate::wire::accept::Accept;
    use crate::wire::code::Code;
    use crate::wire::microversion::{MAX, V1_22};

    fn json_of(error: &ApiError, version: Option<Microversion>) -> Value {
        let (_, body) = render(error, ErrorFormat::Json, version, "req-1");
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
        let (content_type, body) = render(&error, ErrorFormat::Html, Some(MAX), "req-1");
        assert!(content_type.starts_with("text/html"));
        assert!(body.contains("<h1>404 Not Found</h1>"));
        assert!(body.contains("no &lt;b&gt; &amp; &#x27;c&#x27;"));
        let (_, body) = render(&error, ErrorFormat::Plain, Some(MAX), "req-1");
        assert!(body.starts_with("404 Not Found\n\nThe resource could not be found.\n\n no  & 'c'"));
    }

    #[test]
    fn the_cause_of_a_500_is_not_told() {
        let error = ApiError::internal("secret table");
        assert_eq!(error.cause.as_deref(), Some("secret table"));
        for format in [ErrorFormat::Json, ErrorFormat::Html, ErrorFormat::Plain] {
            assert!(!render(&error, format, Some(MAX), "req-1").1.contains("secret"));
        }
    }
}

//! The headers of all responses in the dialects of CNAPI, Triton's API.

use std::sync::LazyLock;
use std::time::Instant;

use actix_web::http::header::{self, HeaderMap, HeaderName};

use crate::wire::headers::set;

/// The header with the request id of the client. The response repeats this id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RESPONSE_TIME: HeaderName = HeaderName::from_static("x-response-time");
const SERVER_NAME: HeaderName = HeaderName::from_static("x-server-name");

/// The longest request id of a client that the response repeats, in bytes.
const LONGEST_ID: usize = 128;

/// The host name of this machine.
static HOST: LazyLock<String> = LazyLock::new(|| {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".to_owned() } else { name.trim().to_owned() }
});

/// Adds the headers. `asked` are the headers of the request. `own` is the service's id of the request, which is
/// used if the client sent no request id.
pub(crate) fn decorate(headers: &mut HeaderMap, asked: &HeaderMap, own: &str, started: Instant) {
    let theirs = asked.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let theirs = theirs.filter(|id| !id.is_empty() && id.len() <= LONGEST_ID);
    set(headers, REQUEST_ID, theirs.unwrap_or(own));
    set(headers, RESPONSE_TIME, &started.elapsed().as_millis().to_string());
    set(headers, SERVER_NAME, &HOST);
    set(headers, header::SERVER, "allotment");
}

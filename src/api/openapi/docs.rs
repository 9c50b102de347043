//! `/openapi.json` and `/docs`: what can be asked, for programs and for people.

use std::sync::OnceLock;

use actix_web::http::StatusCode;
use bytes::Bytes;

use crate::api::{Call, HandlerResult, Reply, openapi};
use crate::wire::error::escape;
use crate::wire::microversion::{MAX, MAX_MINOR, MIN, Microversion};
use crate::wire::{ApiError, schema};

type Built = OnceLock<Result<Bytes, openapi::Broken>>;

/// The documents that were asked for: that of all versions, then one for each version.
static DOCUMENTS: [Built; MAX_MINOR + 2] = [const { Built::new() }; MAX_MINOR + 2];

/// `GET /openapi.json`
pub async fn openapi(call: Call) -> HandlerResult {
    let query = call.checked_query(&schema::OPENAPI_QUERY)?;
    let version = query
        .last("microversion")
        .map(Microversion::parse)
        .transpose()
        .map_err(|error| ApiError::bad_request(format!("Invalid query string parameters: {error}")))?;
    let place = version.map_or(0, |version| version.minor() + 1);
    let built = DOCUMENTS.get(place).ok_or_else(|| ApiError::internal("no place for the document"))?;
    let document = built.get_or_init(|| Ok(openapi::document(version)?.to_string().into()));
    let bytes = document.as_ref().map_err(ApiError::internal)?;
    Ok(Reply::raw_json(StatusCode::OK, below(&call.prefix, bytes)))
}

/// The document for a client that found the service below a path. Without a `servers` entry the document's
/// paths would begin at the root of the host.
fn below(prefix: &str, document: &Bytes) -> Bytes {
    match document.strip_prefix(b"{") {
        Some(rest) if !prefix.is_empty() => {
            let start = format!("{{\"servers\":[{{\"url\":\"{prefix}\"}}],");
            [start.as_bytes(), rest].concat().into()
        }
        _ => document.clone(),
    }
}

/// `GET /docs`
pub async fn page(call: Call) -> HandlerResult {
    let reference = match &call.app.settings.api_ref_url {
        Some(url) => format!(r#"The <a href="{}">API reference</a> explains"#, escape(url)),
        None => "The API reference, a site that <code>make api-ref</code> builds, explains".to_owned(),
    };
    // Links are relative, so that they hold under whatever prefix a proxy serves us.
    Ok(Reply::html(
        StatusCode::OK,
        format!(
            r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>allotment</title>
<style>
body {{ font: 1rem/1.5 sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; color: #222; }}
code {{ background: #eee; padding: 0 0.2em; }}
</style>
</head>
<body>
<h1>allotment</h1>
<p>This is the OpenStack Placement API, microversions {MIN} to {MAX}.</p>
<ul>
<li>{reference} resources, versions, errors and generations, with an example of each request.</li>
<li><a href="openapi.json">openapi.json</a> describes every request for programs (OpenAPI 3.1). One version
alone, for tools that do not know OpenStack's: <a
href="openapi.json?microversion={MAX}">openapi.json?microversion={MAX}</a>.</li>
<li><a href="./">/</a> tells which versions there are.</li>
</ul>
</body>
</html>
"#
        ),
    ))
}

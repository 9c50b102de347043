//! `/openapi.json` and `/docs`: the documentation of the API for programs and for people.

use std::sync::OnceLock;

use actix_web::http::StatusCode;
use bytes::Bytes;

use crate::api::call::Call;
use crate::api::openapi::broken::Broken;
use crate::api::openapi::document::document;
use crate::api::operation::{SHOWN, Success, html, json, operation};
use crate::api::reply::{HandlerResult, Reply};
use crate::api::route;
use crate::api::route::{Handler, Route, answer};
use crate::api::schemas::schemas;
use crate::wire::ApiError;
use crate::wire::error_body::escape;
use crate::wire::microversion::{MAX, MAX_MINOR, MIN, Microversion, V1_0};
use crate::wire::schema::Versions;

schemas! {
    query OPENAPI_QUERY = "openapi_query_1_0";
}

const DOCUMENTS: &str = "Documents";
const DOCUMENT: &[Success] = &[json(200, SHOWN, &[(V1_0, "openapi_1_0")]).dated(None)];
const PAGE: &[Success] = &[html(200, SHOWN)];

/// Returns the routes of the documentation. `openapi` is the handler of `/openapi.json`. The caller passes this
/// handler, because the handler reads the table of all routes, and the table contains the routes of this file.
pub(crate) const fn routes(openapi: Handler) -> [Route; 2] {
    [
        route::get("/openapi.json", "", openapi).any_accept().unguarded().described(
            operation(DOCUMENTS, "Show this document")
                .query(Versions::only(V1_0, &OPENAPI_QUERY))
                .answers(DOCUMENT),
        ),
        route::get("/docs", "", answer!(page))
            .any_accept()
            .unguarded()
            .described(operation(DOCUMENTS, "Show a page that leads to the documents").answers(PAGE)),
    ]
}

type Built = OnceLock<Result<Bytes, Broken>>;

/// A cache of the documents. The first document describes all versions. The document at index N + 1 describes
/// version 1.N.
static MADE: [Built; MAX_MINOR + 2] = [const { Built::new() }; MAX_MINOR + 2];

/// Handles `GET /openapi.json`. The document describes the routes `rows`. All calls must pass the same `rows`,
/// because the document is built only once.
pub async fn openapi(call: Call, rows: &[&Route]) -> HandlerResult {
    let query = call.checked_query(&OPENAPI_QUERY)?;
    let version = query
        .last("microversion")
        .map(Microversion::parse)
        .transpose()
        .map_err(|error| ApiError::bad_request(format!("Invalid query string parameters: {error}")))?;
    let place = version.map_or(0, |version| version.minor() + 1);
    let built = MADE.get(place).ok_or_else(|| ApiError::internal("no place for the document"))?;
    let made = built.get_or_init(|| Ok(document(rows, version)?.to_string().into()));
    let bytes = made.as_ref().map_err(ApiError::internal)?;
    Ok(Reply::raw_json(StatusCode::OK, below(&call.prefix, bytes)))
}

/// Adds the path prefix of the service to a document, as a `servers` entry. Without this entry, the paths of the
/// document would begin at the root of the host.
fn below(prefix: &str, document: &Bytes) -> Bytes {
    match document.strip_prefix(b"{") {
        Some(rest) if !prefix.is_empty() => {
            let start = format!("{{\"servers\":[{{\"url\":\"{prefix}\"}}],");
            [start.as_bytes(), rest].concat().into()
        }
        _ => document.clone(),
    }
}

/// Handles `GET /docs`, an HTML page with links to the documentation.
pub async fn page(call: Call) -> HandlerResult {
    let reference = match &call.app.settings.reference_url {
        Some(url) => format!(r#"The <a href="{}">API reference</a> explains"#, escape(url)),
        None => "The API reference, a site that <code>make api-ref</code> builds, explains".to_owned(),
    };
    // The links are relative, so that they are valid under any path prefix of a proxy.
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

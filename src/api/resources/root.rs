//! `/`: the version document, which lists the versions of the API.

use actix_web::http::StatusCode;
use serde_json::json;

use crate::api::operation::{SHOWN, json, operation};
use crate::api::route::{Route, answer};
use crate::api::{Call, HandlerResult, Reply, route};
use crate::wire::microversion::{MAX, MIN, V1_0, V1_15};

const DOCUMENTS: &str = "Documents";

/// The route of the version document.
pub(crate) static ROUTES: &[Route] = &[route::get("/", "", answer!(show))
    .any_accept()
    .unguarded()
    .described(operation(DOCUMENTS, "Show which versions there are").answers(&[json(
        200,
        SHOWN,
        &[(V1_0, "version_1_0")],
    )]))];

/// Handles `GET /`, which shows the version document.
pub async fn show(call: Call) -> HandlerResult {
    let document = json!({"versions": [{
        "id": format!("v{MIN}"),
        "max_version": MAX.to_string(),
        "min_version": MIN.to_string(),
        "status": "CURRENT",
        // The link is relative, so that it is valid under any path prefix of a proxy.
        "links": [{"rel": "self", "href": ""}],
    }]});
    let reply = Reply::json(StatusCode::OK, &document);
    Ok(if call.at_least(V1_15) { reply.last_modified(None) } else { reply })
}

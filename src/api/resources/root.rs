//! `/`: the version document, by which clients learn what they can ask for.

use actix_web::http::StatusCode;
use serde_json::json;

use crate::api::{Call, HandlerResult, Reply};
use crate::wire::microversion::{MAX, MIN, V1_15};

/// `GET /`
pub async fn show(call: Call) -> HandlerResult {
    let document = json!({"versions": [{
        "id": format!("v{MIN}"),
        "max_version": MAX.to_string(),
        "min_version": MIN.to_string(),
        "status": "CURRENT",
        // Relative, so that it holds under whatever prefix a proxy serves us.
        "links": [{"rel": "self", "href": ""}],
    }]});
    let reply = Reply::json(StatusCode::OK, &document);
    Ok(if call.at_least(V1_15) { reply.last_modified(None) } else { reply })
}

//! The headers of responses in the OpenAPI document.

use serde_json::{Value, json};

use crate::api::openapi::parameters;
use crate::api::openapi::parameters::{CNAPI_ID_HEADER, VERSION_HEADER};
use crate::api::openapi::versions::{Edition, VersionRange};
use crate::api::operation::Success;
use crate::api::route::Dialect;

/// Returns the headers of a success response. `range` are the microversions that have this response.
pub(crate) fn of_success(dialect: Dialect, answer: &Success, range: VersionRange, edition: Edition) -> Value {
    let mut headers = common(dialect, edition, true);
    if answer.located {
        headers["Location"] = json!({
            "description": "Where it is.",
            "required": true,
            "schema": {"type": "string"},
        });
    }
    let dated = answer.dated.and_then(|since| VersionRange::from(since).and(range));
    if let Some(dated) = dated.filter(|dated| edition.has(*dated)) {
        for (name, description, schema) in [
            ("Last-Modified", "When it was last changed.", json!({"type": "string"})),
            ("Cache-Control", "Caches must ask again.", json!({"const": "no-cache"})),
        ] {
            let is_always = name != "Last-Modified" || !answer.undated_if_empty;
            headers[name] = json!({
                "description": description,
                "required": is_always && edition.is_all(dated, range),
                "schema": schema,
            });
            if !edition.is_all(dated, range) {
                headers[name]["x-openstack"] = dated.extension();
            }
        }
    }
    headers
}

/// Returns the headers of an error response. The version header is optional: the response has no version header if
/// the error occurred before the check of the microversion.
pub(crate) fn of_error(dialect: Dialect, edition: Edition) -> Value {
    common(dialect, edition, false)
}

/// Returns the headers that success and error responses of an API have in common.
fn common(dialect: Dialect, edition: Edition, is_version_known: bool) -> Value {
    let mut headers = json!({"X-Openstack-Request-Id": {
        "description": "The id under which the request is in the log.",
        "required": true,
        "schema": {"type": "string", "pattern": "^req-[0-9a-f-]{36}$"},
    }});
    match dialect {
        Dialect::Admin => {}
        Dialect::Placement => {
            headers[VERSION_HEADER] = json!({
                "description": "The version that was obeyed.",
                "required": is_version_known,
                "schema": parameters::version_schema(edition),
            });
        }
        Dialect::Cnapi => {
            for (name, description, schema) in [
                (
                    CNAPI_ID_HEADER,
                    "The id that the client sent, or else one made up.",
                    json!({"type": "string"}),
                ),
                (
                    "X-Response-Time",
                    "How long the answer took, in milliseconds.",
                    json!({"type": "string", "pattern": "^[0-9]+$"}),
                ),
                ("X-Server-Name", "The machine that answered.", json!({"type": "string"})),
            ] {
                headers[name] = json!({"description": description, "required": true, "schema": schema});
            }
        }
    }
    headers
}

//! Headers of answers in the OpenAPI document.

use serde_json::{Value, json};

use crate::api::openapi::operations::Answer;
use crate::api::openapi::parameters;
use crate::api::openapi::parameters::CNAPI_ID_HEADER;
use crate::api::openapi::{Range, Scope, VERSION_HEADER};
use crate::api::routes::Dialect;

/// The headers of a success.
pub(crate) fn of_success(dialect: Dialect, answer: &Answer, range: Range, scope: Scope) -> Value {
    let mut headers = common(dialect, scope, true);
    if answer.located {
        headers["Location"] = json!({
            "description": "Where it is.",
            "required": true,
            "schema": {"type": "string"},
        });
    }
    let dated = answer.dated.and_then(|since| Range::from(since).and(range));
    if let Some(dated) = dated.filter(|dated| scope.has(*dated)) {
        for (name, description, schema) in [
            ("Last-Modified", "When it was last changed.", json!({"type": "string"})),
            ("Cache-Control", "Caches must ask again.", json!({"const": "no-cache"})),
        ] {
            let is_always = name != "Last-Modified" || !answer.undated_if_empty;
            headers[name] = json!({
                "description": description,
                "required": is_always && scope.is_all(dated, range),
                "schema": schema,
            });
            if !scope.is_all(dated, range) {
                headers[name]["x-openstack"] = dated.extension();
            }
        }
    }
    headers
}

/// The headers of an error. It tells no version if it came before one was understood.
pub(crate) fn of_error(dialect: Dialect, scope: Scope) -> Value {
    common(dialect, scope, false)
}

/// The headers of every answer in a dialect.
fn common(dialect: Dialect, scope: Scope, is_version_known: bool) -> Value {
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
                "schema": parameters::version_schema(scope),
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

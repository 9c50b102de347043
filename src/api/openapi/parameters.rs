//! Parameters in the OpenAPI document: path parameters, query parameters and request headers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api::openapi::broken::Broken;
use crate::api::openapi::versions::{Edition, VersionRange};
use crate::api::openapi::words::words;
use crate::wire::microversion::{MIN, SERVICE};
use crate::wire::schema;
use crate::wire::schema::{LazySchema, Versions};

/// The name of a documented parameter that stands for all parameters with suffixes, such as `resources1`. The
/// parameter is an object with `explode`, so OpenAPI clients send each member of the object as a parameter, and never
/// a parameter `groups`.
const GROUPS: &str = "groups";

/// The header with the microversion of a request or response.
pub(crate) const VERSION_HEADER: &str = "OpenStack-API-Version";
/// The header with the tickets of a fenced write (a write that happens only if its tickets are active), in the
/// spelling of the document.
const FENCE_HEADER: &str = "X-Waitlist-Ticket";
/// The header with the request id of a client of CNAPI, Triton's API. The response repeats this id.
pub(crate) const CNAPI_ID_HEADER: &str = "X-Request-Id";
/// A pattern for uuids separated by commas.
const FENCE_PATTERN: &str =
    "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(,[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})*$";

/// Returns the description of the version header.
pub(crate) fn version_header(edition: Edition) -> Value {
    json!({
        "name": VERSION_HEADER,
        "in": "header",
        "description": words(&[VERSION_HEADER]),
        "required": edition.0.is_some_and(|version| version > MIN),
        "schema": version_schema(edition),
    })
}

/// Returns the description of the header with tickets for a fenced write.
pub(crate) fn fence_header() -> Value {
    json!({
        "name": FENCE_HEADER,
        "in": "header",
        "description": words(&[FENCE_HEADER]),
        "required": false,
        "schema": {"type": "string", "pattern": FENCE_PATTERN},
    })
}

/// Returns the description of the header with the request id of a CNAPI client.
pub(crate) fn cnapi_id_header() -> Value {
    json!({
        "name": CNAPI_ID_HEADER,
        "in": "header",
        "description": words(&[CNAPI_ID_HEADER]),
        "required": false,
        "schema": {"type": "string"},
    })
}

/// Returns the schema of the version header.
pub(crate) fn version_schema(edition: Edition) -> Value {
    match edition.0 {
        Some(version) => json!({"type": "string", "enum": [format!("{SERVICE} {version}")]}),
        None => json!({"type": "string", "pattern": "^placement (latest|1\\.[0-9]+)$"}),
    }
}

/// Returns the path parameters of a path such as `/traits/{name}`. The member `name` of the schema `named` describes
/// the valid values of a path parameter `name`.
pub(crate) fn in_path(path: &str, named: Option<&'static LazySchema>) -> Result<Vec<Value>, Broken> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let text = words(&[&format!("{path}.{name}"), &format!("path.{name}"), name]);
            let text = text.ok_or_else(|| format!("there are no words on {name} in {path}"))?;
            let schema = match named {
                Some(lazy) if name == "name" => {
                    let schema = schema::loaded(lazy).map_err(|error| error.to_string())?;
                    schema.source["properties"]["name"].clone()
                }
                _ if name.ends_with("uuid") => json!({"type": "string", "format": "uuid"}),
                // The schema allows any text. If the text names no resource, the response is a 404 and not a 400.
                _ => json!({"type": "string", "minLength": 1}),
            };
            Ok(json!({"name": name, "in": "path", "required": true, "description": text, "schema": schema}))
        })
        .collect()
}

/// The form of a parameter in a range of versions.
#[derive(Clone, Debug, PartialEq)]
struct Shape {
    schema: Value,
    required: bool,
}

/// Returns the query parameters. `versions` are the schemas of the query string, and `range` has the versions of
/// the route.
pub(crate) fn in_query(
    versions: Versions,
    range: VersionRange,
    edition: Edition,
) -> Result<Vec<Value>, Broken> {
    let mut parameters: BTreeMap<String, Vec<(VersionRange, Shape)>> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    let mut stem = "";
    for (range, lazy) in edition.pieces(versions.iter(), range) {
        let schema = schema::loaded(lazy).map_err(|error| error.to_string())?;
        stem = schema.name.split("_1_").next().unwrap_or(schema.name);
        for (name, shape) in shapes(&schema.source)? {
            if !order.contains(&name) {
                order.push(name.clone());
            }
            let history = parameters.entry(name).or_default();
            match history.last_mut() {
                Some((last, known)) if *known == shape && last.until == Some(range.since) => {
                    last.until = range.until;
                }
                _ => history.push((range, shape)),
            }
        }
    }
    order
        .into_iter()
        .map(|name| {
            let history = parameters.remove(&name).unwrap_or_default();
            let text = words(&[&format!("{stem}.{name}"), &name]);
            let text = text.ok_or_else(|| format!("there are no words on {name} in {stem}"))?;
            Ok(parameter(&name, text, history, range, edition))
        })
        .collect()
}

fn parameter(
    name: &str,
    text: &str,
    history: Vec<(VersionRange, Shape)>,
    of: VersionRange,
    edition: Edition,
) -> Value {
    let held = history.iter().map(|(range, _)| *range).reduce(VersionRange::or).unwrap_or(of);
    let everywhere = edition.0.is_some() || held == of;
    let mut parameter = json!({
        "name": name,
        "in": "query",
        "description": text,
        "required": everywhere && history.iter().all(|(_, shape)| shape.required),
    });
    if name == GROUPS {
        parameter["style"] = "form".into();
        parameter["explode"] = true.into();
    }
    let mut schemas: Vec<(VersionRange, Value)> = Vec::new();
    for (range, shape) in history {
        match schemas.last_mut() {
            Some((last, known)) if *known == shape.schema => last.until = range.until,
            _ => schemas.push((range, shape.schema)),
        }
    }
    parameter["schema"] = match schemas.len() {
        1 => schemas.remove(0).1,
        _ => {
            let branches = schemas.into_iter().map(|(range, mut schema)| {
                schema["x-openstack"] = range.extension();
                schema
            });
            json!({
                "oneOf": branches.collect::<Vec<_>>(),
                "x-openstack": {"discriminator": "microversion"},
            })
        }
    };
    if edition.0.is_none() && held != of {
        parameter["x-openstack"] = held.extension();
    }
    parameter
}

/// Returns the parameters in the schema of a query string.
fn shapes(schema: &Value) -> Result<Vec<(String, Shape)>, Broken> {
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name))
    };
    let mut shapes: Vec<(String, Shape)> = Vec::new();
    let mut groups = Map::new();
    for (pattern, schema) in members(schema, "patternProperties") {
        let (name, suffix) = suffixed(pattern).ok_or_else(|| format!("cannot describe {pattern}"))?;
        shapes.push((name.to_owned(), Shape { schema: schema.clone(), required: false }));
        groups.insert(format!("^{name}{suffix}$"), schema.clone());
    }
    if !groups.is_empty() {
        let schema = json!({"type": "object", "patternProperties": groups, "additionalProperties": false});
        shapes.push((GROUPS.to_owned(), Shape { schema, required: false }));
    }
    for (name, schema) in members(schema, "properties") {
        shapes.push((name.clone(), Shape { schema: schema.clone(), required: required(name) }));
    }
    Ok(shapes)
}

fn members<'a>(schema: &'a Value, keyword: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    schema[keyword].as_object().into_iter().flatten()
}

/// Splits a pattern: `resources` and `[1-9][0-9]*` for `^resources([1-9][0-9]*)?$`. Returns None for a pattern of
/// another form.
fn suffixed(pattern: &str) -> Option<(&str, &str)> {
    let (name, rest) = pattern.strip_prefix('^')?.split_once('(')?;
    Some((name, rest.strip_suffix(")?$")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixed_parameters_are_told_from_plain_ones() {
        let schema = json!({
            "properties": {"limit": {"type": "string"}},
            "patternProperties": {"^resources([1-9][0-9]*)?$": {"type": "string"}},
            "required": ["limit"],
        });
        let shapes = shapes(&schema).unwrap();
        let names: Vec<&str> = shapes.iter().map(|shape| shape.0.as_str()).collect();
        assert_eq!(names, ["resources", "groups", "limit"]);
        assert!(!shapes[0].1.required && shapes[2].1.required);
        assert_eq!(
            shapes[1].1.schema["patternProperties"],
            json!({"^resources[1-9][0-9]*$": {"type": "string"}})
        );
        assert!(super::shapes(&json!({"patternProperties": {"x+": {}}})).is_err());
    }
}

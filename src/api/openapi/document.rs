//! Builds the OpenAPI document.

use serde_json::{Map, Value, json};

use crate::api::openapi::broken::Broken;
use crate::api::openapi::parameters;
use crate::api::openapi::parameters::VERSION_HEADER;
use crate::api::openapi::responses::{Responses, body_range, is_write};
use crate::api::openapi::schemas::Components;
use crate::api::openapi::versions::{Edition, VersionRange, one_of};
use crate::api::operation::Operation;
use crate::api::route::{BodyKind, Dialect, Route};
use crate::wire::microversion::{MAX, MIN, Microversion};
use crate::wire::schema;
use crate::wire::schema::Versions;

/// Returns the document that describes the routes in `rows`. If `version` is None, the document describes all
/// versions. Otherwise the document describes only this version.
pub fn document(rows: &[&Route], version: Option<Microversion>) -> Result<Value, Broken> {
    let mut builder = Builder { edition: Edition(version), components: Components::default() };
    let mut paths = Map::new();
    for (route, operation) in described(rows) {
        if builder.edition.has(VersionRange::from(route.since)) {
            let described = builder.operation(route, operation)?;
            let methods = paths.entry(route.path).or_insert_with(|| json!({}));
            methods[route.method.as_str().to_lowercase()] = described;
        }
    }
    let shown = version.unwrap_or(MAX);
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "OpenStack Placement API, by allotment",
            "summary": "The resources of each host of a cloud, and their users",
            "description": introduction(version),
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
            "version": shown.to_string(),
        },
        "security": [{"token": []}],
        "tags": tags(rows),
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {
                "type": "apiKey",
                "in": "header",
                "name": "X-Auth-Token",
                "description": "With noauth2 `admin`, or USER:PROJECT; else a token of Keystone.",
            }},
            "parameters": {
                "cnapi_id": parameters::cnapi_id_header(),
                "fence": parameters::fence_header(),
                "version": parameters::version_header(builder.edition),
            },
            "responses": builder.responses().shared()?,
            "schemas": builder.components.finish(version.is_none()),
        },
    }))
}

fn introduction(version: Option<Microversion>) -> String {
    match version {
        Some(version) => format!(
            "This is microversion {version} alone. Requests must name it in the header {VERSION_HEADER}."
        ),
        None => format!(
            "Microversions {MIN} to {MAX}. A request names one in the header {VERSION_HEADER}; without it, it \
             is {MIN}. `x-openstack` says from which version (`min-ver`) to which (`max-ver`) something \
             holds, also of the branches of a `oneOf` whose discriminator is `microversion`. For tools that \
             do not know `x-openstack`, `/openapi.json?microversion={MAX}` describes one version alone."
        ),
    }
}

/// Returns pairs of a route and its documentation. Routes without a documentation are left out.
fn described<'a>(rows: &'a [&Route]) -> impl Iterator<Item = (&'a Route, &'a Operation)> {
    rows.iter().filter_map(|route| Some((*route, route.operation.as_ref()?)))
}

fn tags(rows: &[&Route]) -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    for (_, operation) in described(rows) {
        if !names.contains(&operation.tag) {
            names.push(operation.tag);
        }
    }
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

struct Builder {
    edition: Edition,
    components: Components,
}

impl Builder {
    fn responses(&mut self) -> Responses<'_> {
        Responses { edition: self.edition, components: &mut self.components }
    }

    fn operation(&mut self, route: &Route, operation: &Operation) -> Result<Value, Broken> {
        let range = VersionRange::from(route.since);
        let id = format!("{}:{}", route.path.trim_start_matches('/'), route.method.as_str().to_lowercase());
        let mut described = json!({
            "operationId": id.replace(['{', '}'], ""),
            "tags": [operation.tag],
            "summary": operation.summary,
        });
        if self.edition.0.is_none() {
            described["x-openstack"] = range.extension();
        }
        if route.rule.is_none() {
            described["security"] = json!([]);
        }
        let mut parameters = parameters::in_path(route.path, operation.name)?;
        let named = match route.dialect {
            Dialect::Placement => Some("version"),
            Dialect::Cnapi => Some("cnapi_id"),
            Dialect::Admin => None,
        };
        for name in named.into_iter().chain(is_write(route).then_some("fence")) {
            parameters.push(json!({"$ref": format!("#/components/parameters/{name}")}));
        }
        if let Some(query) = operation.query {
            parameters.extend(parameters::in_query(query, range, self.edition)?);
        }
        described["parameters"] = parameters.into();
        if let Some(versions) = operation.body
            && let Some(body) = self.body(route, versions)?
        {
            described["requestBody"] = body;
        }
        described["responses"] = self.responses().of(route, operation)?;
        Ok(described)
    }

    fn body(&mut self, route: &Route, versions: Versions) -> Result<Option<Value>, Broken> {
        let Some(range) = body_range(route).filter(|range| self.edition.has(*range)) else {
            return Ok(None);
        };
        let pieces = self.edition.pieces(versions.iter(), range);
        let mut branches = Vec::new();
        for (range, lazy) in pieces {
            let schema = schema::loaded(lazy).map_err(|error| error.to_string())?;
            branches.push((range, self.components.add_body(schema, range)?));
        }
        let is_optional = route.body == BodyKind::JsonOrForm;
        let schema = one_of(branches);
        let mut body = json!({
            "required": !is_optional && self.edition.is_all(range, VersionRange::from(route.since)),
            "content": {"application/json": {"schema": schema}},
        });
        if is_optional {
            body["content"]["application/x-www-form-urlencoded"] = json!({ "schema": schema });
        }
        if self.edition.0.is_none() && range.until.is_some() {
            body["x-openstack"] = range.extension();
        }
        Ok(Some(body))
    }
}

//! The OpenAPI 3.1 document, made of the table of routes and of the schemas that validate requests.
//!
//! Microversions are expressed as OpenStack's code generators do: where a body or a parameter has
//! changed, its schema is a `oneOf` with `x-openstack: {discriminator: microversion}`, and each
//! branch says in `x-openstack` from which version (`min-ver`) to which (`max-ver`) it holds. Since
//! tools that do not know this cannot choose a branch, there is a plain document for each version too.

pub mod docs;
mod headers;
mod operations;
mod parameters;
mod schemas;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api::routes::{BodyKind, Dialect, ROUTES, Route, TooOld};
use crate::wire::error::Code;
use crate::wire::microversion::{MAX, MIN, Microversion, SERVICE, V1_0, V1_23};
use crate::wire::schema;
use crate::wire::schema::Versions;
use operations::{Answer, Content, ERROR_SHAPES, OPERATIONS, Operation, Shapes};
use schemas::Components;

/// The header by which clients name the version that they mean.
pub(crate) const VERSION_HEADER: &str = "OpenStack-API-Version";

/// Why the document could not be made: a file that comes with the program is broken, or a table
/// lacks an entry. Tests show that it does not happen.
pub type Broken = String;

/// The versions for which something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) since: Microversion,
    /// The first version for which it does not hold any more.
    pub(crate) until: Option<Microversion>,
}

impl Range {
    pub(crate) fn from(since: Microversion) -> Self {
        Self { since, until: None }
    }

    /// The versions that are in both ranges; `None` if there are none.
    pub(crate) fn and(self, other: Range) -> Option<Range> {
        let since = self.since.max(other.since);
        let until = match (self.until, other.until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        until.is_none_or(|until| since < until).then_some(Range { since, until })
    }

    /// The smallest range that has both in it.
    pub(crate) fn or(self, other: Range) -> Range {
        let until = self.until.zip(other.until).map(|(a, b)| a.max(b));
        Range { since: self.since.min(other.since), until }
    }

    fn has(self, version: Microversion) -> bool {
        self.since <= version && self.until.is_none_or(|until| version < until)
    }

    /// As OpenStack's code generators write it.
    pub(crate) fn extension(self) -> Value {
        let mut extension = json!({"min-ver": self.since.to_string()});
        if let Some(last) = self.until.and_then(Microversion::previous) {
            extension["max-ver"] = last.to_string().into();
        }
        extension
    }
}

/// The described versions: all or one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope(pub(crate) Option<Microversion>);

impl Scope {
    /// Whether anything of a range is described.
    pub(crate) fn has(self, range: Range) -> bool {
        self.0.is_none_or(|version| range.has(version))
    }

    /// Whether a range is all that is described.
    pub(crate) fn is_all(self, range: Range, of: Range) -> bool {
        self.0.is_some() || range == of
    }

    /// The pieces of a history that are described, each with its versions within `within`.
    pub(crate) fn pieces<T>(
        self,
        history: impl IntoIterator<Item = (Microversion, T)>,
        within: Range,
    ) -> Vec<(Range, T)> {
        let mut pieces: Vec<(Range, T)> = Vec::new();
        for (since, piece) in history {
            if let Some((last, _)) = pieces.last_mut() {
                last.until = Some(since);
            }
            pieces.push((Range::from(since), piece));
        }
        pieces
            .into_iter()
            .filter_map(|(range, piece)| Some((range.and(within)?, piece)))
            .filter(|(range, _)| self.has(*range))
            .collect()
    }
}

/// The document for all versions or for one.
pub fn document(version: Option<Microversion>) -> Result<Value, Broken> {
    let mut builder = Builder { scope: Scope(version), components: Components::default() };
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let route = ROUTES
            .iter()
            .find(|route| route.method == operation.method && route.path == operation.path)
            .ok_or_else(|| format!("{} {} is no route", operation.method, operation.path))?;
        if builder.scope.has(Range::from(route.since)) {
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
        "tags": tags(),
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
                "version": parameters::version_header(builder.scope),
            },
            "responses": builder.common_responses()?,
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

fn tags() -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    for operation in OPERATIONS {
        if !names.contains(&operation.tag) {
            names.push(operation.tag);
        }
    }
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

/// The statuses whose answers are the same everywhere, and what they mean.
const COMMON: [(u16, &str); 10] = [
    (401, "The request does not say who asks, or not so that it can be believed."),
    (403, "Policy does not allow this to whoever asks."),
    (405, "The method is not there in this version."),
    (406, "There is no such version, or JSON is not what the request accepts."),
    (408, "The body takes longer to arrive than the service waits."),
    (413, "The body is longer than the service takes."),
    (414, "The query string is longer than the service takes."),
    (415, "The body is not sent as application/json."),
    (431, "The headers are longer than the service takes."),
    (503, "The database or Keystone is out of reach. The same request may succeed later."),
];

fn common_name(status: u16) -> String {
    format!("error_{status}")
}

struct Builder {
    scope: Scope,
    components: Components,
}

impl Builder {
    fn operation(&mut self, route: &Route, operation: &Operation) -> Result<Value, Broken> {
        let range = Range::from(route.since);
        let id = format!("{}:{}", route.path.trim_start_matches('/'), route.method.as_str().to_lowercase());
        let mut described = json!({
            "operationId": id.replace(['{', '}'], ""),
            "tags": [operation.tag],
            "summary": operation.summary,
        });
        if self.scope.0.is_none() {
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
            parameters.extend(parameters::in_query(query, range, self.scope)?);
        }
        described["parameters"] = parameters.into();
        if let Some(versions) = operation.body
            && let Some(body) = self.body(route, versions)?
        {
            described["requestBody"] = body;
        }
        described["responses"] = self.responses(route, operation)?;
        Ok(described)
    }

    fn body(&mut self, route: &Route, versions: Versions) -> Result<Option<Value>, Broken> {
        let Some(range) = body_range(route).filter(|range| self.scope.has(*range)) else {
            return Ok(None);
        };
        let pieces = self.scope.pieces(versions.iter(), range);
        let mut branches = Vec::new();
        for (range, lazy) in pieces {
            let schema = schema::loaded(lazy).map_err(|error| error.to_string())?;
            branches.push((range, self.components.add(schema.name, range)?));
        }
        let is_optional = route.body == BodyKind::JsonOrForm;
        let schema = one_of(branches);
        let mut body = json!({
            "required": !is_optional && self.scope.is_all(range, Range::from(route.since)),
            "content": {"application/json": {"schema": schema}},
        });
        if is_optional {
            body["content"]["application/x-www-form-urlencoded"] = json!({ "schema": schema });
        }
        if self.scope.0.is_none() && range.until.is_some() {
            body["x-openstack"] = range.extension();
        }
        Ok(Some(body))
    }

    fn responses(&mut self, route: &Route, operation: &Operation) -> Result<Value, Broken> {
        let mut responses: BTreeMap<u16, Value> = BTreeMap::new();
        for answer in operation.answers {
            let range = Range { since: answer.since.unwrap_or(route.since), until: answer.until };
            if !self.scope.has(range) {
                continue;
            }
            let described = self.success(route, answer, range)?;
            responses.insert(answer.status, described);
        }
        let errors = self.errors(route, operation);
        if route.dialect == Dialect::Cnapi {
            for status in errors.into_keys().chain(self.common_statuses(route)) {
                let described = self.cnapi_error(status, operation)?;
                responses.insert(status, described);
            }
            return Ok(by_status(responses));
        }
        for (status, codes) in errors {
            responses.insert(status, self.error(status, &codes)?);
        }
        for status in self.common_statuses(route) {
            let name = common_name(status);
            responses.insert(status, json!({"$ref": format!("#/components/responses/{name}")}));
        }
        Ok(by_status(responses))
    }

    /// An error of CNAPI, which has one form in all versions.
    fn cnapi_error(&mut self, status: u16, operation: &Operation) -> Result<Value, Broken> {
        let common = COMMON.iter().find(|common| common.0 == status).map(|common| common.1);
        let own = operation.words.iter().find(|own| own.0 == status).map(|own| own.1);
        let text = own.or(cnapi_text_of(status)).or(common).unwrap_or_else(|| text_of(status));
        let schema = self.components.add("cnapi_error_1_0", Range::from(V1_0))?;
        Ok(json!({
            "description": text,
            "headers": headers::of_error(Dialect::Cnapi, self.scope),
            "content": {"application/json": {"schema": schema}},
        }))
    }

    fn success(&mut self, route: &Route, answer: &Answer, range: Range) -> Result<Value, Broken> {
        let mut response = json!({"description": answer.text, "headers": headers::of_success(route.dialect, answer, range, self.scope)});
        if self.scope.0.is_none() && range != Range::from(route.since) {
            response["x-openstack"] = range.extension();
        }
        match answer.content {
            Content::Nothing => {}
            Content::Json(shapes) => {
                response["content"] = json!({"application/json": {"schema": self.shapes(shapes, range)?}});
            }
            Content::Html => {
                response["content"] = json!({"text/html; charset=UTF-8": {"schema": {"type": "string"}}});
            }
        }
        Ok(response)
    }

    fn shapes(&mut self, shapes: Shapes, range: Range) -> Result<Value, Broken> {
        let mut branches = Vec::new();
        for (range, name) in self.scope.pieces(shapes.iter().copied(), range) {
            branches.push((range, self.components.add(name, range)?));
        }
        Ok(one_of(branches))
    }

    /// The statuses whose error codes depend on the operation.
    fn errors(&self, route: &Route, operation: &Operation) -> BTreeMap<u16, Vec<Code>> {
        let mut errors = BTreeMap::from([(400, vec![Code::Undefined])]);
        let is_newer = self.scope.0.is_none() && route.since > MIN && route.too_old == TooOld::NotFound;
        if route.path.contains('{') || is_newer {
            errors.insert(404, vec![Code::Undefined]);
        }
        // A write that other writers overtake again and again is given up in the end; and any write
        // may be fenced.
        if is_write(route) {
            errors.insert(409, vec![Code::ConcurrentUpdate, Code::NotActive]);
        }
        for (status, codes) in operation.codes {
            errors.entry(*status).or_default().extend_from_slice(codes);
        }
        for (status, _) in operation.words {
            errors.entry(*status).or_default();
        }
        errors
    }

    fn error(&mut self, status: u16, codes: &[Code]) -> Result<Value, Broken> {
        let text = text_of(status);
        let mut branches = Vec::new();
        for (range, name) in self.scope.pieces(ERROR_SHAPES.iter().copied(), Range::from(V1_0)) {
            let mut branch = self.components.add(name, range)?;
            if range.since >= V1_23 || self.scope.0.is_some_and(|version| version >= V1_23) {
                let codes: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
                branch["properties"] =
                    json!({"errors": {"items": {"properties": {"code": {"enum": codes}}}}});
            }
            branches.push((range, branch));
        }
        // While the version is not understood, it is not known whether there are codes in it.
        if status == 400 && self.scope.0.is_some_and(|version| version >= V1_23) {
            let range = Range { since: V1_0, until: Some(V1_23) };
            branches.push((range, self.components.add(ERROR_SHAPES[0].1, range)?));
            return Ok(self.error_response(text, json!({"oneOf": [branches[0].1, branches[1].1]})));
        }
        Ok(self.error_response(text, one_of(branches)))
    }

    /// The statuses whose answers are the same for all operations.
    fn common_statuses(&self, route: &Route) -> Vec<u16> {
        let guarded = route.rule.is_some();
        let has_body = body_range(route).is_some_and(|range| self.scope.has(range));
        let was_refused = route.too_old == TooOld::MethodNotAllowed && self.scope.0.is_none();
        COMMON
            .iter()
            .map(|common| common.0)
            .filter(|status| match status {
                401 | 403 | 503 => guarded,
                405 => was_refused,
                408 | 413 | 415 => has_body,
                406 => route.dialect == Dialect::Placement,
                _ => true,
            })
            .collect()
    }

    fn common_responses(&mut self) -> Result<Value, Broken> {
        let mut responses = Map::new();
        for (status, text) in COMMON {
            let response = match status {
                401 => {
                    let schema = self.components.add("unauthorized_1_0", Range::from(V1_0))?;
                    self.error_response(text, schema)
                }
                406 => {
                    let schema = self.components.add("version_error_1_0", Range::from(V1_0))?;
                    self.error_response(text, schema)
                }
                _ => self.error(status, &[Code::Undefined]).map(|mut response| {
                    response["description"] = text.into();
                    response
                })?,
            };
            responses.insert(common_name(status), response);
        }
        Ok(Value::Object(responses))
    }

    /// An error comes in the format that the request accepts.
    fn error_response(&self, text: &str, schema: Value) -> Value {
        json!({
            "description": text,
            "headers": headers::of_error(Dialect::Placement, self.scope),
            "content": {
                "application/json": {"schema": schema},
                "text/html; charset=UTF-8": {"schema": {"type": "string"}},
                "text/plain; charset=UTF-8": {"schema": {"type": "string"}},
            },
        })
    }
}

/// Whether a route may change something.
fn is_write(route: &Route) -> bool {
    route.method != actix_web::http::Method::GET
}

fn by_status(responses: BTreeMap<u16, Value>) -> Value {
    let named = responses.into_iter().map(|(status, response)| (status.to_string(), response));
    Value::Object(named.collect())
}

/// The meaning of an error's status.
fn text_of(status: u16) -> &'static str {
    match status {
        400 => "The request is malformed, or names what there is not.",
        404 => "There is no such thing, or not yet in this version.",
        _ => {
            "The present state does not allow it. With the code placement.concurrent_update: read again, \
             decide again, write again."
        }
    }
}

/// The same in the dialects of CNAPI, where it is not what it means elsewhere.
fn cnapi_text_of(status: u16) -> Option<&'static str> {
    match status {
        404 => Some("There is no such server, or no such ticket."),
        415 => Some("The body is sent as something else than JSON or a form."),
        _ => None,
    }
}

/// The versions in which a route takes a body.
fn body_range(route: &Route) -> Option<Range> {
    match route.body {
        BodyKind::Json | BodyKind::JsonOrForm => Some(Range::from(route.since)),
        BodyKind::JsonBefore(until) => Some(Range { since: route.since, until: Some(until) }),
        BodyKind::Ignored => None,
    }
}

/// One schema, or a choice by version.
fn one_of(mut branches: Vec<(Range, Value)>) -> Value {
    if branches.len() == 1 {
        return branches.remove(0).1;
    }
    let branches: Vec<Value> = branches.into_iter().map(|(_, schema)| schema).collect();
    json!({"oneOf": branches, "x-openstack": {"discriminator": "microversion"}})
}

/// The service as the version header names it, at a version.
pub(crate) fn version_value(version: Microversion) -> String {
    format!("{SERVICE} {version}")
}

#[cfg(test)]
mod tests;

//! The responses of routes in the OpenAPI document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api::openapi::broken::Broken;
use crate::api::openapi::headers;
use crate::api::openapi::schemas::Components;
use crate::api::openapi::versions::{Edition, VersionRange, one_of};
use crate::api::operation::{Content, Operation, Shapes, Success};
use crate::api::route::{BodyKind, Dialect, Route, TooOld};
use crate::wire::Code;
use crate::wire::microversion::{MIN, V1_0, V1_23};

/// The schemas of error bodies. From microversion 1.23 on, an error has a code.
const ERROR_SHAPES: Shapes = &[(V1_0, "error_1_0"), (V1_23, "error_1_23")];

/// The error statuses that have the same response for all routes, with their descriptions.
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

/// Builds the responses of routes.
pub(crate) struct Responses<'a> {
    pub(crate) edition: Edition,
    /// The schemas of the document. The schemas of the responses are added here.
    pub(crate) components: &'a mut Components,
}

impl Responses<'_> {
    /// Returns all responses of a route.
    pub(crate) fn of(&mut self, route: &Route, operation: &Operation) -> Result<Value, Broken> {
        let mut responses: BTreeMap<u16, Value> = BTreeMap::new();
        for answer in operation.successes {
            let range = VersionRange { since: answer.since.unwrap_or(route.since), until: answer.until };
            if !self.edition.has(range) {
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

    /// Returns an error response of the CNAPI dialects (tickets in the API of Triton). The form is the same in all
    /// microversions.
    fn cnapi_error(&mut self, status: u16, operation: &Operation) -> Result<Value, Broken> {
        let common = COMMON.iter().find(|common| common.0 == status).map(|common| common.1);
        let own = operation.words.iter().find(|own| own.0 == status).map(|own| own.1);
        let text = own.or(cnapi_text_of(status)).or(common).unwrap_or_else(|| text_of(status));
        let schema = self.components.add("cnapi_error_1_0", VersionRange::from(V1_0))?;
        Ok(json!({
            "description": text,
            "headers": headers::of_error(Dialect::Cnapi, self.edition),
            "content": {"application/json": {"schema": schema}},
        }))
    }

    fn success(&mut self, route: &Route, answer: &Success, range: VersionRange) -> Result<Value, Broken> {
        let headers = headers::of_success(route.dialect, answer, range, self.edition);
        let mut response = json!({"description": answer.text, "headers": headers});
        if self.edition.0.is_none() && range != VersionRange::from(route.since) {
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

    fn shapes(&mut self, shapes: Shapes, range: VersionRange) -> Result<Value, Broken> {
        let mut branches = Vec::new();
        for (range, name) in self.edition.pieces(shapes.iter().copied(), range) {
            branches.push((range, self.components.add(name, range)?));
        }
        Ok(one_of(branches))
    }

    /// Returns the error statuses of a route with their error codes. Statuses in [`COMMON`] are not included.
    fn errors(&self, route: &Route, operation: &Operation) -> BTreeMap<u16, Vec<Code>> {
        let mut errors = BTreeMap::from([(400, vec![Code::Undefined])]);
        let is_newer = self.edition.0.is_none() && route.since > MIN && route.too_old == TooOld::NotFound;
        if route.path.contains('{') || is_newer {
            errors.insert(404, vec![Code::Undefined]);
        }
        // Every write can return a 409: if other clients change the same rows again and again, or if
        // `X-Waitlist-Ticket` names a ticket that is not active.
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
        for (range, name) in self.edition.pieces(ERROR_SHAPES.iter().copied(), VersionRange::from(V1_0)) {
            let mut branch = self.components.add(name, range)?;
            if range.since >= V1_23 || self.edition.0.is_some_and(|version| version >= V1_23) {
                let codes: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
                branch["properties"] =
                    json!({"errors": {"items": {"properties": {"code": {"enum": codes}}}}});
            }
            branches.push((range, branch));
        }
        // A 400 that occurs before the check of the microversion has no code. So a 400 has one of two forms.
        if status == 400 && self.edition.0.is_some_and(|version| version >= V1_23) {
            let range = VersionRange { since: V1_0, until: Some(V1_23) };
            branches.push((range, self.components.add(ERROR_SHAPES[0].1, range)?));
            return Ok(self.error_response(text, json!({"oneOf": [branches[0].1, branches[1].1]})));
        }
        Ok(self.error_response(text, one_of(branches)))
    }

    /// Returns the statuses in [`COMMON`] that a route can return.
    fn common_statuses(&self, route: &Route) -> Vec<u16> {
        let guarded = route.rule.is_some();
        let has_body = body_range(route).is_some_and(|range| self.edition.has(range));
        let was_refused = route.too_old == TooOld::MethodNotAllowed && self.edition.0.is_none();
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

    /// Returns the error responses that routes share, by their names in `components/responses`.
    pub(crate) fn shared(&mut self) -> Result<Value, Broken> {
        let mut responses = Map::new();
        for (status, text) in COMMON {
            let response = match status {
                401 => {
                    let schema = self.components.add("unauthorized_1_0", VersionRange::from(V1_0))?;
                    self.error_response(text, schema)
                }
                406 => {
                    let schema = self.components.add("version_error_1_0", VersionRange::from(V1_0))?;
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

    /// Returns an error response. The `Accept` header of the request selects one of its three formats.
    fn error_response(&self, text: &str, schema: Value) -> Value {
        json!({
            "description": text,
            "headers": headers::of_error(Dialect::Placement, self.edition),
            "content": {
                "application/json": {"schema": schema},
                "text/html; charset=UTF-8": {"schema": {"type": "string"}},
                "text/plain; charset=UTF-8": {"schema": {"type": "string"}},
            },
        })
    }
}

/// Returns true if a route may change data. All routes except those with the method GET may change data.
pub(crate) fn is_write(route: &Route) -> bool {
    route.method != actix_web::http::Method::GET
}

fn by_status(responses: BTreeMap<u16, Value>) -> Value {
    let named = responses.into_iter().map(|(status, response)| (status.to_string(), response));
    Value::Object(named.collect())
}

/// Returns the description of an error status.
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

/// Returns the description of an error status for the CNAPI dialects. Returns None if the general description
/// applies.
fn cnapi_text_of(status: u16) -> Option<&'static str> {
    match status {
        404 => Some("There is no such server, or no such ticket."),
        415 => Some("The body is sent as something else than JSON or a form."),
        _ => None,
    }
}

/// Returns the versions in which a route reads a body. Returns None if the route never reads a body.
pub(crate) fn body_range(route: &Route) -> Option<VersionRange> {
    match route.body {
        BodyKind::Json | BodyKind::JsonOrForm => Some(VersionRange::from(route.since)),
        BodyKind::JsonBefore(until) => Some(VersionRange { since: route.since, until: Some(until) }),
        BodyKind::Ignored => None,
    }
}

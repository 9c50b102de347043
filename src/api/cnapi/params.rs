//! The parameters of a request, from the query string and the body. The body is JSON or an HTML form.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error;
use crate::api::Call;
use crate::wire::query::Query;
use crate::wire::schema;
use crate::wire::schema::LazySchema;
use crate::wire::{ApiError, json};

/// The parameters by name.
pub(crate) type Params = Map<String, Value>;

/// Returns the parameters of the query string and the body. A parameter in the query string overrides a parameter
/// in the body. A repeated parameter in a query string or a form becomes a list.
pub(crate) fn merged(call: &Call) -> Result<Params, ApiError> {
    merged_with(call, &call.body)
}

/// Returns the parameters of the query string and of `body`, which is a corrected copy of the request's body.
pub(crate) fn merged_with(call: &Call, body: &[u8]) -> Result<Params, ApiError> {
    let mut params = in_body(call, body)?;
    params.extend(in_query(call)?);
    Ok(params)
}

/// Returns the parameters of the query string.
pub(crate) fn in_query(call: &Call) -> Result<Params, ApiError> {
    Ok(gathered(call.query()?))
}

/// Converts parameters into a struct. Returns a 400 if the parameters are invalid by the schema.
pub(crate) fn read<T: DeserializeOwned>(params: Params, schema: &'static LazySchema) -> Result<T, ApiError> {
    let value = Value::Object(params);
    schema::loaded(schema)?.check(&value)?;
    if json::contains_nul(&value) {
        return Err(ApiError::bad_request("JSON does not validate: a string contains a NUL"));
    }
    serde_json::from_value(value)
        .map_err(|error| ApiError::bad_request(format!("JSON does not validate: {error}")))
}

fn in_body(call: &Call, body: &[u8]) -> Result<Params, ApiError> {
    if body.is_empty() {
        return Ok(Params::new());
    }
    if call.is_form {
        let text = std::str::from_utf8(body).map_err(|error| error::broken(&error.to_string()))?;
        let form = Query::parse_form(text).map_err(|error| error::broken(&error.to_string()))?;
        return Ok(gathered(&form));
    }
    match json::parse(body).map_err(|problem| error::broken(&problem))? {
        Value::Object(members) => Ok(members),
        Value::Null => Ok(Params::new()),
        _ => Err(error::invalid("the body is not an object")),
    }
}

fn gathered(query: &Query) -> Params {
    let mut params = Params::new();
    for (name, value) in query.iter() {
        let value = Value::from(value);
        match params.get_mut(name) {
            None => {
                params.insert(name.to_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    params
}

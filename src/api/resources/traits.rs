//! `/traits`, `/traits/{name}` and `/resource_providers/{uuid}/traits`.

use std::sync::Arc;

use actix_web::http::StatusCode;
use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use crate::api::refusal::provider_missing;
use crate::api::resources::aggregates::generation_changed;
use crate::api::resources::view::newest;
use crate::api::{Call, HandlerResult, Reply};
use crate::placement::Error;
use crate::placement::traits;
use crate::placement::traits::ListFilter;
use crate::store::traits::Trait;
use crate::wire::json::integer;
use crate::wire::names::is_custom_trait;
use crate::wire::{ApiError, schema};

#[derive(Deserialize)]
struct ReplaceBody {
    #[serde(deserialize_with = "integer")]
    resource_provider_generation: i64,
    traits: Vec<String>,
}

#[derive(Serialize)]
struct View<'a> {
    traits: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_provider_generation: Option<i32>,
}

fn shown(call: &Call, list: &[Trait], resource_provider_generation: Option<i32>) -> Reply {
    let time = newest(list.iter().map(|t| (t.created_at, t.updated_at)));
    let traits = list.iter().map(|t| t.name.as_str()).collect();
    reply(call, View { traits, resource_provider_generation }, time)
}

fn reply(call: &Call, view: View<'_>, time: Option<NaiveDateTime>) -> Reply {
    Reply::json(StatusCode::OK, &view).cacheable(call.version, time)
}

/// `GET /traits`
pub async fn list(call: Call) -> HandlerResult {
    let filter = filter(&call)?;
    let list = call.app.db.read(move |conn| traits::list(conn, &filter)).await?;
    Ok(shown(&call, &list, None))
}

fn filter(call: &Call) -> Result<ListFilter, ApiError> {
    let query = call.checked_query(&schema::TRAITS_QUERY)?;
    let mut filter = ListFilter::default();
    if let Some(name) = query.last("name") {
        match name.split_once(':') {
            Some(("in", names)) => filter.names = Some(names.split(',').map(str::to_owned).collect()),
            Some(("startswith", prefix)) => filter.prefix = Some(prefix.to_owned()),
            // Another operator is no filter, as it always was.
            Some(_) => {}
            None => {
                return Err(ApiError::bad_request(format!(
                    "Badly formatted name parameter. Expected name query string parameter in form: \
                     ?name=[in|startswith]:[name1,name2|prefix]. Got: \"{name}\""
                )));
            }
        }
    }
    filter.associated = match query.last("associated").map(str::to_lowercase).as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => {
            let message = "The query parameter \"associated\" only accepts \"true\" or \"false\"";
            return Err(ApiError::bad_request(message));
        }
    };
    Ok(filter)
}

/// `GET /traits/{name}`
pub async fn show(call: Call) -> HandlerResult {
    let name = call.param("name").to_owned();
    let found = call.app.db.read(move |conn| traits::find(conn, &name)).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT).cacheable(call.version, found.created_at))
}

/// `PUT /traits/{name}`
pub async fn ensure(call: Call) -> HandlerResult {
    let name = call.param("name").to_owned();
    if !is_custom_trait(&name) {
        return Err(ApiError::bad_request(
            "The trait is invalid. A valid trait must be no longer than 255 characters, start with the \
             prefix \"CUSTOM_\" and use following characters: \"A\"-\"Z\", \"0\"-\"9\" and \"_\"",
        ));
    }
    let location = format!("/traits/{name}");
    let (found, made) = call.write("ensure trait", move |conn| traits::ensure(conn, &name)).await??;
    let status = if made { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    Ok(Reply::empty(status).location(location).cacheable(call.version, found.created_at))
}

/// `DELETE /traits/{name}`
pub async fn delete(call: Call) -> HandlerResult {
    let name = call.param("name").to_owned();
    call.write("delete trait", move |conn| traits::delete(conn, &name)).await??;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `GET /resource_providers/{uuid}/traits`
pub async fn list_by_provider(call: Call) -> HandlerResult {
    let (uuid, known) = (call.param("uuid").to_owned(), Arc::clone(&call.app.known_traits));
    let found = call.app.db.read(move |conn| traits::list_by_provider(conn, &known, &uuid)).await;
    let found = found.map_err(provider_missing("No resource provider with uuid ", " found: "))?;
    let view = View { traits: found.iter().collect(), resource_provider_generation: Some(found.generation) };
    Ok(reply(&call, view, found.newest))
}

/// `PUT /resource_providers/{uuid}/traits`
pub async fn replace(call: Call) -> HandlerResult {
    let body: ReplaceBody = call.json(&schema::TRAITS_PUT)?;
    let uuid = call.param("uuid").to_owned();
    let work =
        move |conn: &mut _| traits::replace(conn, &uuid, body.resource_provider_generation, &body.traits);
    let written = call.write("replace traits", work).await?;
    let (generation, list) = written.map_err(|error| match error {
        Error::ProviderGeneration { .. } => generation_changed(),
        Error::TraitNotFound(names) => ApiError::bad_request(format!("No such trait {names}")),
        error => error.into(),
    })?;
    Ok(shown(&call, &list, Some(generation)))
}

/// `DELETE /resource_providers/{uuid}/traits`
pub async fn delete_by_provider(call: Call) -> HandlerResult {
    let uuid = call.param("uuid").to_owned();
    call.write("delete traits", move |conn| traits::delete_by_provider(conn, &uuid)).await??;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

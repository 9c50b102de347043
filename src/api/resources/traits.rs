//! `/traits`, `/traits/{name}` and `/resource_providers/{uuid}/traits`: the names of features, and the features of
//! a provider.

use std::sync::Arc;

use actix_web::http::StatusCode;
use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use crate::api::fence::Fenced;
use crate::api::operation::{GONE, SHOWN, Shapes, empty, json, operation};
use crate::api::refusal::provider_missing;
use crate::api::resources::aggregates::generation_changed;
use crate::api::resources::resource_classes::RESOURCE_CLASS;
use crate::api::resources::view::newest;
use crate::api::route::{Route, answer};
use crate::api::schemas::schemas;
use crate::api::{Call, HandlerResult, Reply, route};
use crate::commit::Plain;
use crate::ids::Generation;
use crate::placement::traits::TraitFilter;
use crate::placement::{Error, traits};
use crate::store::traits::Trait;
use crate::wire::json::integer;
use crate::wire::microversion::{V1_6, V1_15};
use crate::wire::schema::Versions;
use crate::wire::{ApiError, Code};

schemas! {
    body TRAITS_PUT = "traits_put_1_6";
    query TRAITS_QUERY = "traits_query_1_6";
}

const PROVIDER_TRAITS: &str = "/resource_providers/{uuid}/traits";
const TRAIT: &str = "/traits/{name}";
const TRAITS_OF_PROVIDER: &str = "Resource provider traits";
const TRAITS: &str = "Traits";
const PROVIDER_TRAIT_SHAPES: Shapes = &[(V1_6, "provider_traits_1_6")];

/// The routes of traits, and of the traits of a provider.
pub(crate) static ROUTES: &[Route] = &[
    route::get(PROVIDER_TRAITS, "placement:resource_providers:traits:list", answer!(list_by_provider))
        .since(V1_6)
        .described(operation(TRAITS_OF_PROVIDER, "List the traits of a resource provider").answers(&[json(
            200,
            SHOWN,
            PROVIDER_TRAIT_SHAPES,
        )])),
    route::put(PROVIDER_TRAITS, "placement:resource_providers:traits:update", answer!(replace))
        .since(V1_6)
        .described(
            operation(TRAITS_OF_PROVIDER, "Replace the traits of a resource provider")
                .body(Versions::only(V1_6, &TRAITS_PUT))
                .answers(&[json(200, "As they are now.", PROVIDER_TRAIT_SHAPES)]),
        ),
    route::delete(PROVIDER_TRAITS, "placement:resource_providers:traits:delete", answer!(delete_by_provider))
        .since(V1_6)
        .described(
            operation(TRAITS_OF_PROVIDER, "Remove all traits from a resource provider")
                .answers(&[empty(204, "It has none any more.")]),
        ),
    route::get("/traits", "placement:traits:list", answer!(list)).since(V1_6).described(
        operation(TRAITS, "List traits").query(Versions::only(V1_6, &TRAITS_QUERY)).answers(&[json(
            200,
            "All that fulfil every filter.",
            &[(V1_6, "trait_list_1_6")],
        )]),
    ),
    route::get(TRAIT, "placement:traits:show", answer!(show)).since(V1_6).any_accept().described(
        operation(TRAITS, "Ask whether there is a trait")
            .answers(&[empty(204, "There is.").dated(Some(V1_15))]),
    ),
    route::put(TRAIT, "placement:traits:update", answer!(ensure)).since(V1_6).any_body().described(
        operation(TRAITS, "Make sure that there is a trait")
            // Traits and resource classes have the same rule for names. So the schema of resource classes is used
            // here.
            .name(&RESOURCE_CLASS)
            .answers(&[
                empty(201, "It was created.").located().dated(Some(V1_15)),
                empty(204, "It was there already.").located().dated(Some(V1_15)),
            ]),
    ),
    route::delete(TRAIT, "placement:traits:delete", answer!(delete)).since(V1_6).described(
        operation(TRAITS, "Delete a trait").answers(&[empty(204, GONE)]).codes(&[(409, &[Code::Undefined])]),
    ),
];

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
    resource_provider_generation: Option<Generation>,
}

fn shown(call: &Call, list: &[Trait], resource_provider_generation: Option<Generation>) -> Reply {
    let time = newest(list.iter().map(|t| (t.created_at, t.updated_at)));
    let traits = list.iter().map(|t| t.name.as_str()).collect();
    reply(call, View { traits, resource_provider_generation }, time)
}

fn reply(call: &Call, view: View<'_>, time: Option<NaiveDateTime>) -> Reply {
    Reply::json(StatusCode::OK, &view).cacheable(call.version, time)
}

/// Handles `GET /traits`, which lists the traits that match all filters.
pub async fn list(call: Call) -> HandlerResult {
    let filter = filter(&call)?;
    let list = call.app.db.read(move |conn| traits::list(conn, &filter)).await?;
    Ok(shown(&call, &list, None))
}

fn filter(call: &Call) -> Result<TraitFilter, ApiError> {
    let query = call.checked_query(&TRAITS_QUERY)?;
    let mut filter = TraitFilter::default();
    if let Some(name) = query.last("name") {
        match name.split_once(':') {
            Some(("in", names)) => filter.names = Some(names.split(',').map(str::to_owned).collect()),
            Some(("startswith", prefix)) => filter.prefix = Some(prefix.to_owned()),
            // A value with an unknown operator, such as `x:A`, selects all traits, as in Placement.
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

/// Handles `GET /traits/{name}`, which returns a 204 if the trait exists.
pub async fn show(call: Call) -> HandlerResult {
    let name = call.param("name").to_owned();
    let found = call.app.db.read(move |conn| traits::find(conn, &name)).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT).cacheable(call.version, found.created_at))
}

/// Handles `PUT /traits/{name}`, which creates a trait if the trait does not exist.
pub async fn ensure(call: Call) -> HandlerResult {
    let name = call.param("name").to_owned();
    if !is_custom_trait(&name) {
        return Err(ApiError::bad_request(
            "The trait is invalid. A valid trait must be no longer than 255 characters, start with the \
             prefix \"CUSTOM_\" and use following characters: \"A\"-\"Z\", \"0\"-\"9\" and \"_\"",
        ));
    }
    let location = format!("/traits/{name}");
    let (found, made) =
        call.write(Plain::new("ensure trait", move |conn| traits::ensure(conn, &name))).await?;
    let status = if made { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    Ok(Reply::empty(status).location(location).cacheable(call.version, found.created_at))
}

/// Returns true if clients may create a trait of this name: `CUSTOM_` followed by `A`-`Z`, `0`-`9` and `_`, at
/// most 255 bytes.
fn is_custom_trait(name: &str) -> bool {
    name.len() <= 255
        && name.strip_prefix(traits::CUSTOM_PREFIX).is_some_and(|rest| {
            !rest.is_empty()
                && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        })
}

/// Handles `DELETE /traits/{name}`, which deletes a trait.
pub async fn delete(call: Call) -> HandlerResult {
    let name = call.param("name").to_owned();
    call.write(Plain::new("delete trait", move |conn| traits::delete(conn, &name))).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Handles `GET /resource_providers/{uuid}/traits`, which lists the traits of a provider.
pub async fn list_by_provider(call: Call) -> HandlerResult {
    let (uuid, known) = (call.param("uuid").to_owned(), Arc::clone(&call.app.known_traits));
    let found = call.app.db.read(move |conn| traits::list_by_provider(conn, &known, &uuid)).await;
    let found = found.map_err(provider_missing("No resource provider with uuid ", " found: "))?;
    let view = View { traits: found.iter().collect(), resource_provider_generation: Some(found.generation) };
    Ok(reply(&call, view, found.newest))
}

/// Handles `PUT /resource_providers/{uuid}/traits`, which replaces the traits of a provider.
pub async fn replace(call: Call) -> HandlerResult {
    let body: ReplaceBody = call.json(&TRAITS_PUT)?;
    let uuid = call.param("uuid").to_owned();
    let work =
        move |conn: &mut _| traits::replace(conn, &uuid, body.resource_provider_generation, &body.traits);
    let written = call.write(Plain::new("replace traits", work)).await;
    let (generation, list) = written.map_err(Fenced::told(|error| match error {
        Error::ProviderGeneration { .. } => generation_changed(),
        Error::TraitNotFound(names) => ApiError::bad_request(format!("No such trait {names}")),
        error => error.into(),
    }))?;
    Ok(shown(&call, &list, Some(generation)))
}

/// Handles `DELETE /resource_providers/{uuid}/traits`, which removes all traits from a provider.
pub async fn delete_by_provider(call: Call) -> HandlerResult {
    let uuid = call.param("uuid").to_owned();
    call.write(Plain::new("delete traits", move |conn| traits::delete_by_provider(conn, &uuid))).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_traits_have_their_prefix_and_letters() {
        assert!(is_custom_trait("CUSTOM_A_1"));
        for name in ["CUSTOM_", "HW_A", "CUSTOM_a", "CUSTOM_\u{c4}", "custom_A"] {
            assert!(!is_custom_trait(name), "{name}");
        }
        assert!(!is_custom_trait(&format!("CUSTOM_{}", "A".repeat(249))));
    }
}

//! `/resource_providers/{uuid}/aggregates`: the aggregates (groups of providers) of a provider.

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::api::fence::Fenced;
use crate::api::operation::{SHOWN, Shapes, json, operation};
use crate::api::route::{Route, answer};
use crate::api::schemas::schemas;
use crate::api::{Call, HandlerResult, Reply, route};
use crate::commit::Plain;
use crate::ids::Generation;
use crate::placement::{Error, aggregates};
use crate::wire::json::integer;
use crate::wire::microversion::{V1_1, V1_19};
use crate::wire::schema::Versions;
use crate::wire::{ApiError, Code};

schemas! {
    body AGGREGATES_PUT_1_1 = "aggregates_put_1_1";
    body AGGREGATES_PUT_1_19 = "aggregates_put_1_19";
}

static AGGREGATES_PUT: Versions =
    Versions::only(V1_1, &AGGREGATES_PUT_1_1).then(&[(V1_19, &AGGREGATES_PUT_1_19)]);

const AGGREGATES: &str = "/resource_providers/{uuid}/aggregates";
const PROVIDER_AGGREGATES: &str = "Resource provider aggregates";
const AGGREGATE_SHAPES: Shapes = &[(V1_1, "aggregates_1_1"), (V1_19, "aggregates_1_19")];

/// The routes of the aggregates of a provider.
pub(crate) static ROUTES: &[Route] =
    &[
        route::get(AGGREGATES, "placement:resource_providers:aggregates:list", answer!(list))
            .since(V1_1)
            .type_first()
            .described(
                operation(PROVIDER_AGGREGATES, "List the aggregates of a resource provider")
                    .answers(&[json(200, SHOWN, AGGREGATE_SHAPES)]),
            ),
        route::put(AGGREGATES, "placement:resource_providers:aggregates:update", answer!(replace))
            .since(V1_1)
            .type_first()
            .described(
                operation(PROVIDER_AGGREGATES, "Replace the aggregates of a resource provider")
                    .body(AGGREGATES_PUT)
                    .answers(&[json(200, "As they are now.", AGGREGATE_SHAPES)]),
            ),
    ];

#[derive(Deserialize)]
struct ReplaceBody {
    #[serde(deserialize_with = "integer")]
    resource_provider_generation: i64,
    aggregates: Vec<String>,
}

#[derive(Serialize)]
struct View {
    aggregates: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_provider_generation: Option<Generation>,
}

/// Returns the response with the aggregates. `Last-Modified` is the current time, since the database does not
/// store when a provider became a member of an aggregate.
fn shown(call: &Call, generation: Generation, aggregates: Vec<String>) -> Reply {
    let resource_provider_generation = call.at_least(V1_19).then_some(generation);
    Reply::json(StatusCode::OK, &View { aggregates, resource_provider_generation })
        .cacheable(call.version, None)
}

/// Handles `GET /resource_providers/{uuid}/aggregates`, which lists the aggregates of a provider.
pub async fn list(call: Call) -> HandlerResult {
    let uuid = call.param("uuid").to_owned();
    let (generation, list) = call.app.db.read(move |conn| aggregates::list_by_provider(conn, &uuid)).await?;
    Ok(shown(&call, generation, list))
}

/// Handles `PUT /resource_providers/{uuid}/aggregates`, which replaces the aggregates of a provider.
pub async fn replace(call: Call) -> HandlerResult {
    let schema = AGGREGATES_PUT.at(call.version);
    let (given, list) = if call.at_least(V1_19) {
        let body: ReplaceBody = call.provider_json(schema).await?;
        (Some(body.resource_provider_generation), body.aggregates)
    } else {
        (None, call.provider_json(schema).await?)
    };
    let uuid = call.param("uuid").to_owned();
    let echoed = list.clone();
    let work = move |conn: &mut _| aggregates::replace(conn, &uuid, given, &list);
    let written = call.write(Plain::new("replace aggregates", work)).await;
    let generation = written.map_err(Fenced::told(|error| match error {
        Error::ProviderGeneration { .. } => generation_changed(),
        error => error.into(),
    }))?;
    Ok(shown(&call, generation, echoed))
}

/// Returns the 409 for a stale provider generation (counter of changes). The message is Placement's message for
/// traits and aggregates.
pub(crate) fn generation_changed() -> ApiError {
    ApiError::conflict_with(
        Code::ConcurrentUpdate,
        "Resource provider's generation already changed. Please update the generation and try again.",
    )
}

//! `/resource_providers/{uuid}/aggregates`.

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::api::{Call, HandlerResult, Reply};
use crate::placement::{Error, aggregates};
use crate::wire::json::integer;
use crate::wire::microversion::V1_19;
use crate::wire::{ApiError, Code, schema};

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
    resource_provider_generation: Option<i32>,
}

/// When a provider became a member is not known, so the time is always now.
fn shown(call: &Call, generation: i32, aggregates: Vec<String>) -> Reply {
    let resource_provider_generation = call.at_least(V1_19).then_some(generation);
    Reply::json(StatusCode::OK, &View { aggregates, resource_provider_generation })
        .cacheable(call.version, None)
}

/// `GET /resource_providers/{uuid}/aggregates`
pub async fn list(call: Call) -> HandlerResult {
    let uuid = call.param("uuid").to_owned();
    let (generation, list) = call.app.db.read(move |conn| aggregates::list_by_provider(conn, &uuid)).await?;
    Ok(shown(&call, generation, list))
}

/// `PUT /resource_providers/{uuid}/aggregates`
pub async fn replace(call: Call) -> HandlerResult {
    let schema = schema::aggregates_put(call.version);
    let (given, list) = if call.at_least(V1_19) {
        let body: ReplaceBody = call.provider_json(schema).await?;
        (Some(body.resource_provider_generation), body.aggregates)
    } else {
        (None, call.provider_json(schema).await?)
    };
    let uuid = call.param("uuid").to_owned();
    let echoed = list.clone();
    let work = move |conn: &mut _| aggregates::replace(conn, &uuid, given, &list);
    let written = call.write("replace aggregates", work).await?;
    let generation = written.map_err(|error| match error {
        Error::ProviderGeneration { .. } => generation_changed(),
        error => error.into(),
    })?;
    Ok(shown(&call, generation, echoed))
}

/// The 409 for a generation that is not the one stated, as traits and aggregates word it.
pub(crate) fn generation_changed() -> ApiError {
    ApiError::conflict_with(
        Code::ConcurrentUpdate,
        "Resource provider's generation already changed. Please update the generation and try again.",
    )
}

//! `/reshaper`.

use actix_web::http::StatusCode;
use serde::Deserialize;

use crate::api::resources::allocations::{ClaimBody, claims, refusal};
use crate::api::resources::inventories::ReplaceBody;
use crate::api::{Call, HandlerResult, Reply};
use crate::placement::Error;
use crate::placement::reshaper;
use crate::placement::reshaper::NewInventories;
use crate::wire::ordered::Ordered;
use crate::wire::{ApiError, Code, schema};

#[derive(Deserialize)]
struct Body {
    inventories: Ordered<String, ReplaceBody>,
    allocations: Ordered<String, ClaimBody>,
}

/// `POST /reshaper`
pub async fn reshape(call: Call) -> HandlerResult {
    let body: Body = call.json(schema::reshaper_post(call.version))?;
    let providers: Vec<NewInventories> = body
        .inventories
        .distinct_uuids()?
        .into_iter()
        .map(|(uuid, new)| NewInventories {
            uuid,
            generation: new.resource_provider_generation,
            inventories: new
                .inventories
                .into_iter()
                .map(|(class, amounts)| (class, amounts.into()))
                .collect(),
        })
        .collect();
    let claims = claims(body.allocations, call.version)?;
    let work = move |conn: &mut _| reshaper::reshape(conn, &providers, &claims);
    call.write("reshape", work).await?.map_err(|error| match error {
        Error::ProviderNotFound(uuid) => ApiError::bad_request_with(
            Code::ProviderNotFound,
            format!(
                "Resource provider {uuid} in inventories not found: No resource provider with uuid {uuid} found"
            ),
        ),
        Error::InventoryInUse { .. } => ApiError::from(error).context("update conflict: "),
        error => refusal(error, "malformed reshaper data: "),
    })?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

//! `/reshaper`.

use actix_web::http::StatusCode;
use serde::Deserialize;

use super::allocations::{ClaimBody, claims, refusal};
use super::inventories::ReplaceBody;
use super::ordered::Ordered;
use super::{ApiError, Call, Code, HandlerResult, Reply, schema};
use crate::placement::Error;
use crate::placement::reshaper::{self, NewInventories};

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

//! `/reshaper`, which replaces inventories (amounts that providers offer) and allocations (amounts in use) in one
//! transaction.

use actix_web::http::StatusCode;
use serde::Deserialize;

use crate::api::fence::Fenced;
use crate::api::operation::{empty, operation};
use crate::api::resources::allocations::{ClaimBody, claims, refusal};
use crate::api::resources::inventories::ReplaceBody;
use crate::api::route::{Route, answer};
use crate::api::schemas::schemas;
use crate::api::{Call, HandlerResult, Reply, route};
use crate::commit::Plain;
use crate::placement::reshaper::NewInventories;
use crate::placement::{Error, reshaper};
use crate::wire::microversion::{V1_30, V1_34, V1_38};
use crate::wire::ordered::Ordered;
use crate::wire::schema::Versions;
use crate::wire::{ApiError, Code};

schemas! {
    body RESHAPER_POST_1_30 = "reshaper_post_1_30";
    body RESHAPER_POST_1_34 = "reshaper_post_1_34";
    body RESHAPER_POST_1_38 = "reshaper_post_1_38";
}

static RESHAPER_POST: Versions = Versions::only(V1_30, &RESHAPER_POST_1_30)
    .then(&[(V1_34, &RESHAPER_POST_1_34), (V1_38, &RESHAPER_POST_1_38)]);

const RESHAPER: &str = "Reshaper";

/// The route of the reshaper.
pub(crate) static ROUTES: &[Route] =
    &[route::post("/reshaper", "placement:reshaper:reshape", answer!(reshape)).since(V1_30).described(
        operation(RESHAPER, "Replace inventories and allocations together")
            .body(RESHAPER_POST)
            .answers(&[empty(204, "All of it was done.")])
            .codes(&[(400, &[Code::ProviderNotFound]), (409, &[Code::Undefined, Code::InventoryInUse])]),
    )];

#[derive(Deserialize)]
struct Body {
    inventories: Ordered<String, ReplaceBody>,
    allocations: Ordered<String, ClaimBody>,
}

/// Handles `POST /reshaper`, which replaces inventories and allocations together.
pub async fn reshape(call: Call) -> HandlerResult {
    let body: Body = call.json(RESHAPER_POST.at(call.version))?;
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
    let claims = claims(body.allocations, &call)?;
    let work = move |conn: &mut _| reshaper::reshape(conn, &providers, &claims);
    call.write(Plain::new("reshape", work)).await.map_err(Fenced::told(|error| match error {
        Error::ProviderNotFound(uuid) => ApiError::bad_request_with(
            Code::ProviderNotFound,
            format!(
                "Resource provider {uuid} in inventories not found: No resource provider with uuid {uuid} found"
            ),
        ),
        Error::InventoryInUse { .. } => ApiError::from(error).context("update conflict: "),
        error => refusal(error, "malformed reshaper data: "),
    }))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

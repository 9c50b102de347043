//! `/resource_providers/{uuid}/inventories` and `/resource_providers/{uuid}/inventories/{resource_class}`: the
//! amounts that a provider offers.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use crate::api::fence::Fenced;
use crate::api::operation::{GONE, SHOWN, Shapes, empty, json, operation};
use crate::api::refusal::provider_missing;
use crate::api::resources::resource_providers::path;
use crate::api::resources::view::newest;
use crate::api::route::{Route, answer};
use crate::api::schemas::schemas;
use crate::api::{Call, HandlerResult, Reply, route};
use crate::commit::Plain;
use crate::ids::Generation;
use crate::placement::inventories::ReservedLimit;
use crate::placement::{Error, inventories};
use crate::store::inventories::{Amounts, Inventory};
use crate::wire::json::integer;
use crate::wire::microversion::{V1_0, V1_5, V1_15, V1_26};
use crate::wire::schema::Versions;
use crate::wire::{ApiError, Code};

schemas! {
    body INVENTORIES_PUT = "inventories_put_1_0";
    body INVENTORY_POST = "inventory_post_1_0";
    body INVENTORY_PUT = "inventory_put_1_0";
}

const INVENTORIES: &str = "/resource_providers/{uuid}/inventories";
const INVENTORY: &str = "/resource_providers/{uuid}/inventories/{resource_class}";
const PROVIDER_INVENTORIES: &str = "Resource provider inventories";
const INVENTORY_SHAPES: Shapes = &[(V1_0, "inventory_show_1_0")];
const INVENTORY_LIST: Shapes = &[(V1_0, "inventory_list_1_0")];

/// The routes of inventories.
pub(crate) static ROUTES: &[Route] = &[
    route::get(INVENTORIES, "placement:resource_providers:inventories:list", answer!(list)).described(
        operation(PROVIDER_INVENTORIES, "List the inventories of a resource provider").answers(&[json(
            200,
            SHOWN,
            INVENTORY_LIST,
        )
        .undated_if_empty()]),
    ),
    route::post(INVENTORIES, "placement:resource_providers:inventories:create", answer!(create)).described(
        operation(PROVIDER_INVENTORIES, "Create an inventory")
            .body(Versions::only(V1_0, &INVENTORY_POST))
            .answers(&[json(201, "It was created.", INVENTORY_SHAPES).located()]),
    ),
    route::put(INVENTORIES, "placement:resource_providers:inventories:update", answer!(replace)).described(
        operation(PROVIDER_INVENTORIES, "Replace all inventories of a resource provider")
            .body(Versions::only(V1_0, &INVENTORIES_PUT))
            .answers(&[json(200, "As they are now.", INVENTORY_LIST).undated_if_empty()])
            .codes(&[(409, &[Code::InventoryInUse])]),
    ),
    route::delete(INVENTORIES, "placement:resource_providers:inventories:delete", answer!(delete_all))
        .since(V1_5)
        .method_not_allowed_before()
        .described(
            operation(PROVIDER_INVENTORIES, "Delete all inventories of a resource provider")
                .answers(&[empty(204, "They are gone.")])
                .codes(&[(409, &[Code::InventoryInUse])]),
        ),
    route::get(INVENTORY, "placement:resource_providers:inventories:show", answer!(show)).described(
        operation(PROVIDER_INVENTORIES, "Show an inventory").answers(&[json(200, SHOWN, INVENTORY_SHAPES)]),
    ),
    route::put(INVENTORY, "placement:resource_providers:inventories:update", answer!(update)).described(
        operation(PROVIDER_INVENTORIES, "Change an inventory")
            .body(Versions::only(V1_0, &INVENTORY_PUT))
            .answers(&[json(200, "As it is now.", INVENTORY_SHAPES)]),
    ),
    route::delete(INVENTORY, "placement:resource_providers:inventories:delete", answer!(delete))
        .described(operation(PROVIDER_INVENTORIES, "Delete an inventory").answers(&[empty(204, GONE)])),
];

/// The amounts of an inventory in a request body.
#[derive(Deserialize)]
pub(crate) struct AmountsBody {
    #[serde(deserialize_with = "integer")]
    total: i32,
    #[serde(default, deserialize_with = "integer")]
    reserved: i32,
    #[serde(default = "one", deserialize_with = "integer")]
    min_unit: i32,
    #[serde(default = "largest", deserialize_with = "integer")]
    max_unit: i32,
    #[serde(default = "one", deserialize_with = "integer")]
    step_size: i32,
    #[serde(default = "unscaled")]
    allocation_ratio: f64,
}

fn one() -> i32 {
    1
}

fn largest() -> i32 {
    i32::MAX
}

fn unscaled() -> f64 {
    1.0
}

impl From<AmountsBody> for Amounts {
    fn from(body: AmountsBody) -> Self {
        let AmountsBody { total, reserved, min_unit, max_unit, step_size, allocation_ratio } = body;
        Amounts { total, reserved, min_unit, max_unit, step_size, allocation_ratio }
    }
}

#[derive(Deserialize)]
struct CreateBody {
    resource_class: String,
    #[serde(flatten)]
    amounts: AmountsBody,
}

#[derive(Deserialize)]
struct UpdateBody {
    #[serde(deserialize_with = "integer")]
    resource_provider_generation: i64,
    #[serde(flatten)]
    amounts: AmountsBody,
}

/// All inventories of a provider in the body of a PUT. The body of `POST /reshaper` has the same form for each
/// provider.
#[derive(Deserialize)]
pub(crate) struct ReplaceBody {
    #[serde(deserialize_with = "integer")]
    pub(crate) resource_provider_generation: i64,
    pub(crate) inventories: BTreeMap<String, AmountsBody>,
}

#[derive(Serialize)]
struct AmountsView {
    total: i32,
    reserved: i32,
    min_unit: i32,
    max_unit: i32,
    step_size: i32,
    allocation_ratio: f64,
}

impl From<&Amounts> for AmountsView {
    fn from(amounts: &Amounts) -> Self {
        let Amounts { total, reserved, min_unit, max_unit, step_size, allocation_ratio } = *amounts;
        AmountsView { total, reserved, min_unit, max_unit, step_size, allocation_ratio }
    }
}

#[derive(Serialize)]
struct OneView {
    #[serde(flatten)]
    amounts: AmountsView,
    /// The provider's generation, a counter of changes. The response omits a generation of 0, as in Placement.
    #[serde(skip_serializing_if = "is_zero")]
    resource_provider_generation: Generation,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(generation: &Generation) -> bool {
    *generation == Generation::default()
}

#[derive(Serialize)]
struct ListView<'a> {
    resource_provider_generation: Generation,
    inventories: BTreeMap<&'a str, AmountsView>,
}

fn one_view(generation: Generation, amounts: &Amounts) -> OneView {
    OneView { amounts: amounts.into(), resource_provider_generation: generation }
}

fn reserved_limit(call: &Call) -> ReservedLimit {
    if call.at_least(V1_26) { ReservedLimit::Total } else { ReservedLimit::BelowTotal }
}

/// Handles `GET /resource_providers/{uuid}/inventories`, which lists the inventories of a provider.
pub async fn list(call: Call) -> HandlerResult {
    let (generation, list) = read(&call).await?;
    let time = newest(list.iter().map(|i| (i.created_at, i.updated_at)));
    Ok(list_reply(&call, generation, list.iter().map(|i| (&i.class, &i.amounts)), time))
}

async fn read(call: &Call) -> Result<(Generation, Vec<Inventory>), ApiError> {
    let uuid = call.param("uuid").to_owned();
    let found = call.app.db.read(move |conn| inventories::list_by_provider(conn, &uuid)).await;
    found.map_err(provider_missing("No resource provider with uuid ", " found : "))
}

/// Returns the response with all inventories of a provider. An empty list has no `Last-Modified`.
fn list_reply<'a>(
    call: &Call,
    generation: Generation,
    list: impl Iterator<Item = (&'a String, &'a Amounts)>,
    time: Option<NaiveDateTime>,
) -> Reply {
    let view = ListView {
        resource_provider_generation: generation,
        inventories: list.map(|(class, amounts)| (class.as_str(), amounts.into())).collect(),
    };
    let reply = Reply::json(StatusCode::OK, &view);
    if view.inventories.is_empty() && call.at_least(V1_15) {
        return reply.no_cache();
    }
    reply.cacheable(call.version, time)
}

/// Handles `GET /resource_providers/{uuid}/inventories/{resource_class}`, which shows an inventory.
pub async fn show(call: Call) -> HandlerResult {
    let (generation, list) = read(&call).await?;
    let class = call.param("resource_class");
    let found = list.iter().find(|i| i.class == class).ok_or_else(|| {
        ApiError::not_found(format!("No inventory of class {class} for {}", call.param("uuid")))
    })?;
    let time = newest([(found.created_at, found.updated_at)].into_iter());
    Ok(Reply::json(StatusCode::OK, &one_view(generation, &found.amounts)).cacheable(call.version, time))
}

/// Handles `POST /resource_providers/{uuid}/inventories`, which creates an inventory.
pub async fn create(call: Call) -> HandlerResult {
    let body: CreateBody = call.provider_json(&INVENTORY_POST).await?;
    let (uuid, class, amounts) =
        (call.param("uuid").to_owned(), body.resource_class, Amounts::from(body.amounts));
    let location = format!("{}/inventories/{class}", path(&uuid));
    let tried = format!("Unable to create inventory for resource provider {uuid}: ");
    let limit = reserved_limit(&call);
    let work = move |conn: &mut _| inventories::create(conn, &uuid, &class, amounts, limit);
    let written = call.write(Plain::new("create inventory", work)).await;
    let generation = written.map_err(Fenced::told(|error| match error {
        Error::DuplicateInventory { .. } => ApiError::from(error).context("Update conflict: "),
        Error::ProviderNotFound(_) => error.into(),
        error => ApiError::from(error).not_found_is_bad().context(tried),
    }))?;
    let reply = Reply::json(StatusCode::CREATED, &one_view(generation, &amounts));
    Ok(reply.cacheable(call.version, None).location(location))
}

/// Handles `PUT /resource_providers/{uuid}/inventories`, which replaces all inventories of a provider.
pub async fn replace(call: Call) -> HandlerResult {
    let body: ReplaceBody = call.provider_json(&INVENTORIES_PUT).await?;
    let uuid = call.param("uuid").to_owned();
    let list: Vec<(String, Amounts)> =
        body.inventories.into_iter().map(|(class, a)| (class, a.into())).collect();
    let (limit, given) = (reserved_limit(&call), body.resource_provider_generation);
    let shown = list.clone();
    let work = move |conn: &mut _| inventories::replace(conn, &uuid, given, &list, limit);
    let written = call.write(Plain::new("replace inventories", work)).await;
    let generation = written.map_err(Fenced::told(|error| {
        let uuid = call.param("uuid");
        match error {
            Error::ProviderGeneration { .. } => stale(),
            Error::ResourceClassNotFound(_) => ApiError::from(error)
                .not_found_is_bad()
                .context(format!("Unknown resource class in inventory for resource provider {uuid}: ")),
            Error::Reserved { .. } => cannot_update(uuid, error),
            Error::InventoryInUse { .. } => ApiError::from(error).context("update conflict: "),
            error => error.into(),
        }
    }))?;
    Ok(list_reply(&call, generation, shown.iter().map(|(class, amounts)| (class, amounts)), None))
}

/// Handles `PUT /resource_providers/{uuid}/inventories/{resource_class}`, which changes an inventory.
pub async fn update(call: Call) -> HandlerResult {
    let body: UpdateBody = call.provider_json(&INVENTORY_PUT).await?;
    let (uuid, class) = (call.param("uuid").to_owned(), call.param("resource_class").to_owned());
    let (given, amounts) = (body.resource_provider_generation, Amounts::from(body.amounts));
    let limit = reserved_limit(&call);
    let work = move |conn: &mut _| inventories::update(conn, &uuid, given, (&class, amounts), limit);
    let written = call.write(Plain::new("update inventory", work)).await;
    let generation = written.map_err(Fenced::told(|error| {
        let uuid = call.param("uuid");
        match error {
            Error::ProviderGeneration { .. } => stale(),
            Error::InventoryNotFound(_) => ApiError::from(error)
                .not_found_is_bad()
                .context(format!("No inventory record with resource class for resource provider {uuid}: ")),
            Error::Reserved { .. } => cannot_update(uuid, error),
            error => error.into(),
        }
    }))?;
    Ok(Reply::json(StatusCode::OK, &one_view(generation, &amounts)).cacheable(call.version, None))
}

fn stale() -> ApiError {
    ApiError::conflict_with(Code::ConcurrentUpdate, "resource provider generation conflict")
}

fn cannot_update(uuid: &str, error: Error) -> ApiError {
    ApiError::from(error).context(format!("Unable to update inventory for resource provider {uuid}: "))
}

/// Handles `DELETE /resource_providers/{uuid}/inventories`, which deletes all inventories of a provider.
pub async fn delete_all(call: Call) -> HandlerResult {
    let uuid = call.param("uuid").to_owned();
    call.write(Plain::new("delete inventories", move |conn| inventories::delete_all(conn, &uuid))).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Handles `DELETE /resource_providers/{uuid}/inventories/{resource_class}`, which deletes an inventory.
pub async fn delete(call: Call) -> HandlerResult {
    let (uuid, class) = (call.param("uuid").to_owned(), call.param("resource_class").to_owned());
    let named = class.clone();
    let deleted = call
        .write(Plain::new("delete inventory", move |conn| inventories::delete(conn, &uuid, &class)))
        .await;
    deleted.map_err(Fenced::told(|error| match error {
        Error::InventoryInUse { .. } => ApiError::from(error)
            .with_code(Code::ConcurrentUpdate)
            .context(format!("Unable to delete inventory of class {named}: ")),
        Error::NoInventoryToDelete(_) | Error::ResourceClassNotFound(_) => {
            ApiError::from(error).context(format!("No inventory of class {named} found for delete: "))
        }
        error => error.into(),
    }))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

//! `/allocations`, `/allocations/{consumer_uuid}` and `/resource_providers/{uuid}/allocations`: the amounts that
//! consumers, such as virtual machines, use of providers.

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::api::Nobody;
use crate::api::fence::Fenced;
use crate::api::operation::{SHOWN, Shapes, empty, json, operation};
use crate::api::refusal::provider_missing;
use crate::api::resources::view::newest;
use crate::api::route::{Route, answer};
use crate::api::schemas::schemas;
use crate::api::{Call, HandlerResult, Reply, route};
use crate::ids::Generation;
use crate::placement::allocations::{Claim, Expected};
use crate::placement::usages::UNKNOWN_TYPE;
use crate::placement::writes::{EndConsumer, ReplaceAllocations};
use crate::placement::{Error, allocations};
use crate::store::allocations::{ConsumerAllocation, ProviderAllocation};
use crate::store::joined_rows::JoinedRows;
use crate::wire::json::{Integer, optional_integer};
use crate::wire::microversion::{Microversion, V1_0, V1_8, V1_12, V1_13, V1_28, V1_34, V1_38};
use crate::wire::ordered::Ordered;
use crate::wire::schema::Versions;
use crate::wire::uuids::canonical_uuid;
use crate::wire::{ApiError, Code};

schemas! {
    body ALLOCATIONS_POST_1_13 = "allocations_post_1_13";
    body ALLOCATIONS_POST_1_28 = "allocations_post_1_28";
    body ALLOCATIONS_POST_1_34 = "allocations_post_1_34";
    body ALLOCATIONS_POST_1_38 = "allocations_post_1_38";
    body ALLOCATIONS_PUT_1_0 = "allocations_put_1_0";
    body ALLOCATIONS_PUT_1_8 = "allocations_put_1_8";
    body ALLOCATIONS_PUT_1_12 = "allocations_put_1_12";
    body ALLOCATIONS_PUT_1_28 = "allocations_put_1_28";
    body ALLOCATIONS_PUT_1_34 = "allocations_put_1_34";
    body ALLOCATIONS_PUT_1_38 = "allocations_put_1_38";
}

static ALLOCATIONS_POST: Versions = Versions::only(V1_13, &ALLOCATIONS_POST_1_13).then(&[
    (V1_28, &ALLOCATIONS_POST_1_28),
    (V1_34, &ALLOCATIONS_POST_1_34),
    (V1_38, &ALLOCATIONS_POST_1_38),
]);
static ALLOCATIONS_PUT: Versions = Versions::only(V1_0, &ALLOCATIONS_PUT_1_0).then(&[
    (V1_8, &ALLOCATIONS_PUT_1_8),
    (V1_12, &ALLOCATIONS_PUT_1_12),
    (V1_28, &ALLOCATIONS_PUT_1_28),
    (V1_34, &ALLOCATIONS_PUT_1_34),
    (V1_38, &ALLOCATIONS_PUT_1_38),
]);

const CONSUMER: &str = "/allocations/{consumer_uuid}";
const PROVIDER_ALLOCATIONS: &str = "Resource provider allocations";
const ALLOCATIONS: &str = "Allocations";
const CONSUMER_SHAPES: Shapes = &[
    (V1_0, "consumer_allocations_1_0"),
    (V1_12, "consumer_allocations_1_12"),
    (V1_28, "consumer_allocations_1_28"),
    (V1_38, "consumer_allocations_1_38"),
];

/// The route of the allocations of a provider.
pub(crate) static PROVIDER_ROUTES: &[Route] =
    &[route::get(
        "/resource_providers/{uuid}/allocations",
        "placement:resource_providers:allocations:list",
        answer!(list_by_provider),
    )
    .described(operation(PROVIDER_ALLOCATIONS, "List the allocations of a resource provider").answers(&[
        json(200, SHOWN, &[(V1_0, "provider_allocations_1_0"), (V1_28, "provider_allocations_1_28")]),
    ]))];

/// The routes of the allocations of consumers.
pub(crate) static ROUTES: &[Route] = &[
    route::post("/allocations", "placement:allocations:manage", answer!(replace_several))
        .since(V1_13)
        .described(
            operation(ALLOCATIONS, "Replace the allocations of several consumers")
                .body(ALLOCATIONS_POST)
                .answers(&[empty(204, "All of the allocations are replaced.")])
                .codes(&[(409, &[Code::Undefined])]),
        ),
    route::get(CONSUMER, "placement:allocations:list", answer!(list_by_consumer)).described(
        operation(ALLOCATIONS, "List the allocations of a consumer").answers(&[json(
            200,
            "Its allocations; none, if there is no such consumer.",
            CONSUMER_SHAPES,
        )]),
    ),
    route::put(CONSUMER, "placement:allocations:update", answer!(replace)).described(
        operation(ALLOCATIONS, "Replace the allocations of a consumer")
            .body(ALLOCATIONS_PUT)
            .answers(&[empty(204, "Its allocations are replaced.")])
            .codes(&[(409, &[Code::Undefined])]),
    ),
    route::delete(CONSUMER, "placement:allocations:delete", answer!(delete)).described(
        operation(ALLOCATIONS, "Delete the allocations of a consumer")
            .answers(&[empty(204, "It holds nothing any more.")]),
    ),
];

type Resources = Ordered<String, Integer>;

/// The claim of a consumer (all its new allocations) in a request body. This form occurs in `PUT
/// /allocations/{consumer_uuid}`, in `POST /allocations` and in `POST /reshaper`.
#[derive(Deserialize)]
pub(crate) struct ClaimBody {
    allocations: AllocationsBody,
    project_id: Option<String>,
    user_id: Option<String>,
    #[serde(default, deserialize_with = "optional_integer")]
    consumer_generation: Option<i64>,
    consumer_type: Option<String>,
}

/// The allocations of a claim by provider, in the order of the body. Before microversion 1.12, the body has a
/// list. From 1.12 on, the body has an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum AllocationsBody {
    List(Vec<ListItem>),
    Object(Ordered<String, ObjectItem>),
}

#[derive(Deserialize)]
struct ListItem {
    resource_provider: ProviderRef,
    resources: Resources,
}

#[derive(Deserialize)]
struct ProviderRef {
    uuid: String,
}

#[derive(Deserialize)]
struct ObjectItem {
    resources: Resources,
}

impl ClaimBody {
    /// Converts the body into a claim of the consumer.
    pub(crate) fn into_claim(
        self,
        consumer_uuid: String,
        version: Microversion,
        nobody: &Nobody,
    ) -> Result<Claim, ApiError> {
        let by_provider: Ordered<String, Resources> = match self.allocations {
            AllocationsBody::List(list) => {
                list.into_iter().map(|item| (item.resource_provider.uuid, item.resources)).collect()
            }
            AllocationsBody::Object(map) => {
                map.into_iter().map(|(uuid, item)| (uuid, item.resources)).collect()
            }
        };
        let expected = match self.consumer_generation {
            _ if version < V1_28 => Expected::Anything,
            None => Expected::New,
            Some(generation) => Expected::Generation(generation),
        };
        let allocations = by_provider
            .distinct_uuids()?
            .into_iter()
            .map(|(uuid, resources)| {
                let amounts = resources.into_iter().map(|(class, Integer(amount))| (class, amount));
                (uuid, amounts.collect())
            })
            .collect();
        // By the schemas, a body has both ids or neither id.
        let (project_id, user_id) = match (self.project_id, self.user_id) {
            (Some(project), Some(user)) => (project, user),
            _ => (nobody.project_id.clone(), nobody.user_id.clone()),
        };
        let consumer_type = self.consumer_type.filter(|_| version >= V1_38);
        Ok(Claim { consumer_uuid, project_id, user_id, consumer_type, expected, allocations })
    }
}

/// Converts the bodies of several consumers into claims. `bodies` has the consumers' uuids as keys.
pub(crate) fn claims(bodies: Ordered<String, ClaimBody>, call: &Call) -> Result<Vec<Claim>, ApiError> {
    let nobody = &call.app.settings.incomplete_consumer;
    bodies
        .distinct_uuids()?
        .into_iter()
        .map(|(consumer_uuid, body)| body.into_claim(consumer_uuid, call.version, nobody))
        .collect()
}

#[derive(Serialize)]
struct ResourcesView<'a> {
    resources: Ordered<&'a str, i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<Generation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer_generation: Option<Generation>,
}

#[derive(Serialize)]
struct ConsumerView<'a> {
    allocations: Ordered<&'a str, ResourcesView<'a>>,
    #[serde(flatten)]
    owner: Option<OwnerView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer_generation: Option<Generation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer_type: Option<&'a str>,
}

#[derive(Serialize)]
struct OwnerView<'a> {
    project_id: &'a str,
    user_id: &'a str,
}

#[derive(Serialize)]
struct ProviderView<'a> {
    allocations: Ordered<&'a str, ResourcesView<'a>>,
    resource_provider_generation: Generation,
}

fn consumer_view(rows: &[ConsumerAllocation], version: Microversion) -> ConsumerView<'_> {
    let mut allocations: Ordered<&str, ResourcesView<'_>> = Ordered::default();
    for row in rows {
        let view = allocations.entry(row.provider_uuid.as_str(), || ResourcesView {
            resources: Ordered::default(),
            generation: Some(row.provider_generation.unwrap_or_default()),
            consumer_generation: None,
        });
        *view.resources.entry(row.class.as_str(), || 0) += i64::from(row.used);
    }
    // Each row of a consumer repeats the consumer's own data, such as its project. So the first row is enough.
    let first = rows.first();
    ConsumerView {
        allocations,
        owner: first
            .filter(|_| version >= V1_12)
            .map(|row| OwnerView { project_id: &row.project_id, user_id: &row.user_id }),
        consumer_generation: first.filter(|_| version >= V1_28).map(|row| row.consumer_generation),
        consumer_type: first
            .filter(|_| version >= V1_38)
            .map(|row| row.consumer_type.as_deref().unwrap_or(UNKNOWN_TYPE)),
    }
}

fn provider_view(found: &JoinedRows, version: Microversion) -> ProviderView<'_> {
    let mut allocations: Ordered<&str, ResourcesView<'_>> = Ordered::default();
    for row in found.iter().filter_map(ProviderAllocation::of_line) {
        let view = allocations.entry(row.consumer_uuid, || ResourcesView {
            resources: Ordered::default(),
            generation: None,
            consumer_generation: (version >= V1_28).then_some(row.consumer_generation),
        });
        *view.resources.entry(row.class, || 0) += i64::from(row.used);
    }
    ProviderView { allocations, resource_provider_generation: found.generation }
}

/// Handles `GET /allocations/{consumer_uuid}`, which lists the allocations of a consumer.
pub async fn list_by_consumer(call: Call) -> HandlerResult {
    let uuid = call.param("consumer_uuid").to_owned();
    let rows = call.app.db.read(move |conn| allocations::list_by_consumer(conn, &uuid)).await?;
    let time = newest(rows.iter().map(|row| (row.created_at, row.updated_at)));
    Ok(Reply::json(StatusCode::OK, &consumer_view(&rows, call.version)).cacheable(call.version, time))
}

/// Handles `GET /resource_providers/{uuid}/allocations`, which lists the allocations of a provider.
pub async fn list_by_provider(call: Call) -> HandlerResult {
    let uuid = call.param("uuid").to_owned();
    let found = call.app.db.read(move |conn| allocations::list_by_provider(conn, &uuid)).await;
    let found = found.map_err(provider_missing("Resource provider '", "' not found: "))?;
    let view = provider_view(&found, call.version);
    Ok(Reply::json(StatusCode::OK, &view).cacheable(call.version, found.newest))
}

/// Handles `PUT /allocations/{consumer_uuid}`, which replaces the allocations of a consumer.
pub async fn replace(call: Call) -> HandlerResult {
    let given = call.param("consumer_uuid");
    let uuid = canonical_uuid(given)
        .ok_or_else(|| ApiError::bad_request(format!("Malformed consumer_uuid: {given}")))?;
    let body: ClaimBody = call.json(ALLOCATIONS_PUT.at(call.version))?;
    let unknown_class = format!("Unable to allocate inventory for consumer {uuid}: ");
    let claim = body.into_claim(uuid, call.version, &call.app.settings.incomplete_consumer)?;
    write(&call, vec![claim], &unknown_class).await
}

/// Handles `POST /allocations`, which replaces the allocations of several consumers.
pub async fn replace_several(call: Call) -> HandlerResult {
    let bodies: Ordered<String, ClaimBody> = call.json(ALLOCATIONS_POST.at(call.version))?;
    write(&call, claims(bodies, &call)?, "Unable to allocate inventory ").await
}

async fn write(call: &Call, claims: Vec<Claim>, unknown_class: &str) -> HandlerResult {
    let written = call.write_jointly(&call.app.claims, ReplaceAllocations::new(claims)).await;
    written.map_err(Fenced::told(|error| refusal(error, unknown_class)))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Converts the error of a claim into an HTTP error. The handler of the reshaper uses this function too. The
/// message for an unknown resource class begins with `unknown_class`.
pub(crate) fn refusal(error: Error, unknown_class: &str) -> ApiError {
    match error {
        Error::ResourceClassNotFound(_) => ApiError::from(error).not_found_is_bad().context(unknown_class),
        Error::NoInventory { .. } | Error::ConstraintsViolated { .. } | Error::CapacityExceeded { .. } => {
            ApiError::from(error).context("Unable to allocate inventory: ")
        }
        error => error.into(),
    }
}

/// Handles `DELETE /allocations/{consumer_uuid}`, which deletes all allocations of a consumer.
pub async fn delete(call: Call) -> HandlerResult {
    call.write_jointly(&call.app.ends, EndConsumer::new(call.param("consumer_uuid"))).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

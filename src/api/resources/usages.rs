//! `/usages` and `/resource_providers/{uuid}/usages`: the sums of allocated amounts.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use serde::Serialize;

use crate::api::operation::{SHOWN, json, operation};
use crate::api::refusal::provider_missing;
use crate::api::route::{Route, answer};
use crate::api::schemas::schemas;
use crate::api::{Call, HandlerResult, Reply, route};
use crate::auth::policy;
use crate::ids::Generation;
use crate::placement::usages;
use crate::placement::usages::{TypeUsage, UsedByClass};
use crate::wire::microversion::{V1_0, V1_9, V1_38};
use crate::wire::schema::Versions;

schemas! {
    query USAGES_QUERY_1_9 = "usages_query_1_9";
    query USAGES_QUERY_1_38 = "usages_query_1_38";
}

static USAGES_QUERY: Versions = Versions::only(V1_9, &USAGES_QUERY_1_9).then(&[(V1_38, &USAGES_QUERY_1_38)]);

const PROVIDER_USAGES: &str = "Resource provider usages";
const USAGES: &str = "Usages";

/// The route of the usages of a provider.
pub(crate) static PROVIDER_ROUTES: &[Route] = &[route::get(
    "/resource_providers/{uuid}/usages",
    "placement:resource_providers:usages",
    answer!(list_by_provider),
)
.described(operation(PROVIDER_USAGES, "Show how much of a resource provider is used").answers(&[json(
    200,
    SHOWN,
    &[(V1_0, "provider_usages_1_0")],
)]))];

/// The route of the usages of a project.
pub(crate) static ROUTES: &[Route] = &[route::get("/usages", policy::USAGES, answer!(list_by_project))
    .since(V1_9)
    .described(operation(USAGES, "Show how much a project uses").query(USAGES_QUERY).answers(&[json(
        200,
        SHOWN,
        &[(V1_9, "usages_1_9"), (V1_38, "usages_1_38")],
    )]))];

/// The word for all consumer types together: a value of the parameter `consumer_type`, and a key in the response.
const ALL_TYPES: &str = "all";

#[derive(Serialize)]
struct ProviderView {
    resource_provider_generation: Generation,
    usages: BTreeMap<String, i64>,
}

#[derive(Serialize)]
struct ProjectView<T> {
    usages: T,
}

#[derive(Serialize)]
struct TypeView {
    consumer_count: i64,
    #[serde(flatten)]
    amounts: UsedByClass,
}

/// Handles `GET /resource_providers/{uuid}/usages`, which shows the used amount of each resource class.
pub async fn list_by_provider(call: Call) -> HandlerResult {
    let uuid = call.param("uuid").to_owned();
    let found = call.app.db.read(move |conn| usages::list_by_provider(conn, &uuid)).await;
    let (generation, list) =
        found.map_err(provider_missing("No resource provider with uuid ", " found: "))?;
    let view = ProviderView { resource_provider_generation: generation, usages: list.into_iter().collect() };
    Ok(Reply::json(StatusCode::OK, &view).cacheable(call.version, None))
}

/// Handles `GET /usages`, which shows the amounts that a project uses.
pub async fn list_by_project(call: Call) -> HandlerResult {
    let query = call.checked_query(USAGES_QUERY.at(call.version))?;
    let text = |name| query.last(name).map(str::to_owned);
    let (project, user, wanted) =
        (text("project_id").unwrap_or_default(), text("user_id"), text("consumer_type"));
    if !call.at_least(V1_38) {
        let work = move |conn: &mut _| usages::by_project(conn, &project, user.as_deref());
        let amounts = call.app.db.read(work).await?;
        return Ok(
            Reply::json(StatusCode::OK, &ProjectView { usages: amounts }).cacheable(call.version, None)
        );
    }
    let work = move |conn: &mut _| usages::by_consumer_type(conn, &project, user.as_deref());
    let usages = selected(call.app.db.read(work).await?, wanted.as_deref());
    let view: BTreeMap<String, TypeView> = usages
        .into_iter()
        .map(|(kind, TypeUsage { consumer_count, amounts })| (kind, TypeView { consumer_count, amounts }))
        .collect();
    Ok(Reply::json(StatusCode::OK, &ProjectView { usages: view }).cacheable(call.version, None))
}

/// Returns the usages that the query parameter `consumer_type` (`wanted`) selects. If the value is a type, returns
/// the usage of this type. If the value is `all`, returns the sum of all types under the key `all`. If there is no
/// such parameter, returns all types, each under its own key.
fn selected(mut usages: BTreeMap<String, TypeUsage>, wanted: Option<&str>) -> BTreeMap<String, TypeUsage> {
    match wanted {
        None => usages,
        Some(ALL_TYPES) if usages.is_empty() => usages,
        Some(ALL_TYPES) => {
            let mut all = TypeUsage::default();
            for usage in usages.into_values() {
                all.consumer_count += usage.consumer_count;
                for (class, used) in usage.amounts {
                    *all.amounts.entry(class).or_default() += used;
                }
            }
            BTreeMap::from([(ALL_TYPES.to_owned(), all)])
        }
        Some(kind) => {
            usages.retain(|name, _| name == kind);
            usages
        }
    }
}

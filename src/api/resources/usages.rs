//! `/usages` and `/resource_providers/{uuid}/usages`.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use serde::Serialize;

use crate::api::refusal::provider_missing;
use crate::api::{Call, HandlerResult, Reply};
use crate::placement::usages;
use crate::placement::usages::{Amounts, TypeUsage};
use crate::wire::microversion::V1_38;
use crate::wire::schema;

/// Asks for all consumers under one key, whatever their types.
const ALL_TYPES: &str = "all";

#[derive(Serialize)]
struct ProviderView {
    resource_provider_generation: i32,
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
    amounts: Amounts,
}

/// `GET /resource_providers/{uuid}/usages`
pub async fn list_by_provider(call: Call) -> HandlerResult {
    let uuid = call.param("uuid").to_owned();
    let found = call.app.db.read(move |conn| usages::list_by_provider(conn, &uuid)).await;
    let (generation, list) =
        found.map_err(provider_missing("No resource provider with uuid ", " found: "))?;
    let view = ProviderView { resource_provider_generation: generation, usages: list.into_iter().collect() };
    Ok(Reply::json(StatusCode::OK, &view).cacheable(call.version, None))
}

/// `GET /usages`
pub async fn list_by_project(call: Call) -> HandlerResult {
    let query = call.checked_query(schema::usages_query(call.version))?;
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

/// The types that were asked for: all of them each by itself, all under one key, or a single one.
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

//! `/resource_providers` and `/resource_providers/{uuid}`: the providers of resources, such as compute hosts.

use std::sync::Arc;

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::api::fence::Fenced;
use crate::api::operation::{GONE, SHOWN, Shapes, empty, json, operation};
use crate::api::resources::view::{Link, newest};
use crate::api::route::{Route, answer};
use crate::api::schemas::schemas;
use crate::api::searches::constraints;
use crate::api::searches::spelling::Texts;
use crate::api::{Call, HandlerResult, Reply, route};
use crate::commit::Plain;
use crate::fleet::{Picture, Provider, Slot};
use crate::ids::Generation;
use crate::placement::resource_providers::{NewProvider, ProviderChanges};
use crate::placement::{Error, resource_providers as providers};
use crate::search::listing;
use crate::search::listing::ListFilter;
use crate::stop::{GivenUp, Pace, Stop};
use crate::store::resource_providers::ResourceProvider;
use crate::wire::microversion::{
    Microversion, V1_0, V1_1, V1_3, V1_4, V1_6, V1_11, V1_14, V1_18, V1_20, V1_37,
};
use crate::wire::schema::Versions;
use crate::wire::uuids::canonical_uuid;
use crate::wire::{ApiError, Code};

schemas! {
    body RESOURCE_PROVIDER_POST_1_0 = "resource_provider_post_1_0";
    body RESOURCE_PROVIDER_POST_1_14 = "resource_provider_post_1_14";
    body RESOURCE_PROVIDER_PUT_1_0 = "resource_provider_put_1_0";
    body RESOURCE_PROVIDER_PUT_1_14 = "resource_provider_put_1_14";
    query RESOURCE_PROVIDERS_QUERY_1_0 = "resource_providers_query_1_0";
    query RESOURCE_PROVIDERS_QUERY_1_3 = "resource_providers_query_1_3";
    query RESOURCE_PROVIDERS_QUERY_1_4 = "resource_providers_query_1_4";
    query RESOURCE_PROVIDERS_QUERY_1_14 = "resource_providers_query_1_14";
    query RESOURCE_PROVIDERS_QUERY_1_18 = "resource_providers_query_1_18";
}

static RESOURCE_PROVIDER_POST: Versions =
    Versions::only(V1_0, &RESOURCE_PROVIDER_POST_1_0).then(&[(V1_14, &RESOURCE_PROVIDER_POST_1_14)]);
static RESOURCE_PROVIDER_PUT: Versions =
    Versions::only(V1_0, &RESOURCE_PROVIDER_PUT_1_0).then(&[(V1_14, &RESOURCE_PROVIDER_PUT_1_14)]);
static RESOURCE_PROVIDERS_QUERY: Versions = Versions::only(V1_0, &RESOURCE_PROVIDERS_QUERY_1_0).then(&[
    (V1_3, &RESOURCE_PROVIDERS_QUERY_1_3),
    (V1_4, &RESOURCE_PROVIDERS_QUERY_1_4),
    (V1_14, &RESOURCE_PROVIDERS_QUERY_1_14),
    (V1_18, &RESOURCE_PROVIDERS_QUERY_1_18),
]);

const PROVIDER: &str = "/resource_providers/{uuid}";
const PROVIDERS: &str = "Resource providers";
const PROVIDER_SHAPES: Shapes = &[
    (V1_0, "resource_provider_show_1_0"),
    (V1_1, "resource_provider_show_1_1"),
    (V1_6, "resource_provider_show_1_6"),
    (V1_11, "resource_provider_show_1_11"),
    (V1_14, "resource_provider_show_1_14"),
];
const PROVIDER_LIST: Shapes = &[
    (V1_0, "resource_provider_list_1_0"),
    (V1_1, "resource_provider_list_1_1"),
    (V1_6, "resource_provider_list_1_6"),
    (V1_11, "resource_provider_list_1_11"),
    (V1_14, "resource_provider_list_1_14"),
];

/// The routes of providers.
pub(crate) static ROUTES: &[Route] = &[
    route::get("/resource_providers", "placement:resource_providers:list", answer!(list)).described(
        operation(PROVIDERS, "List resource providers").query(RESOURCE_PROVIDERS_QUERY).answers(&[json(
            200,
            "All that fulfil every filter.",
            PROVIDER_LIST,
        )]),
    ),
    route::post("/resource_providers", "placement:resource_providers:create", answer!(create)).described(
        operation(PROVIDERS, "Create a resource provider")
            .body(RESOURCE_PROVIDER_POST)
            .answers(&[
                empty(201, "It was created.").until(V1_20).located(),
                json(200, "It was created.", PROVIDER_SHAPES).since(V1_20).located(),
            ])
            .codes(&[(409, &[Code::DuplicateName])]),
    ),
    route::get(PROVIDER, "placement:resource_providers:show", answer!(show)).described(
        operation(PROVIDERS, "Show a resource provider").answers(&[json(200, SHOWN, PROVIDER_SHAPES)]),
    ),
    route::put(PROVIDER, "placement:resource_providers:update", answer!(update)).described(
        operation(PROVIDERS, "Rename or move a resource provider")
            .body(RESOURCE_PROVIDER_PUT)
            .answers(&[json(200, "As it is now.", PROVIDER_SHAPES)])
            .codes(&[(409, &[Code::DuplicateName])]),
    ),
    route::delete(PROVIDER, "placement:resource_providers:delete", answer!(delete)).described(
        operation(PROVIDERS, "Delete a resource provider")
            .answers(&[empty(204, GONE)])
            .codes(&[(409, &[Code::ProviderInUse, Code::CannotDeleteParent])]),
    ),
];

#[derive(Deserialize)]
struct CreateBody {
    name: String,
    uuid: Option<String>,
    parent_provider_uuid: Option<String>,
}

#[derive(Deserialize)]
struct UpdateBody {
    name: String,
    /// With null, the provider becomes the root of a tree. If this member is absent, the parent does not change.
    #[serde(default, deserialize_with = "present")]
    parent_provider_uuid: Option<Option<String>>,
}

/// Reads a member for which null and absence have different meanings. Returns `Some(None)` for null. For an absent
/// member, serde does not call this function, and the default is None.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Serialize)]
struct ProviderView<'a> {
    uuid: &'a str,
    name: Option<&'a str>,
    generation: Generation,
    links: Vec<Link>,
    #[serde(flatten)]
    tree: Option<TreeView<'a>>,
}

#[derive(Serialize)]
struct TreeView<'a> {
    parent_provider_uuid: Option<&'a str>,
    root_provider_uuid: &'a str,
}

const PATH: &str = "/resource_providers/";

/// Returns the path of a provider, without the path prefix of the service.
pub(crate) fn path(uuid: &str) -> String {
    format!("{PATH}{uuid}")
}

fn view<'a>(provider: &'a ResourceProvider, version: Microversion, prefix: &str) -> ProviderView<'a> {
    let tree = (version >= V1_14).then(|| TreeView {
        parent_provider_uuid: provider.parent_uuid.as_deref(),
        root_provider_uuid: &provider.root_uuid,
    });
    ProviderView {
        uuid: &provider.uuid,
        name: provider.name.as_deref(),
        generation: provider.generation(),
        links: links(&provider.uuid, version, prefix),
        tree,
    }
}

fn links(uuid: &str, version: Microversion, prefix: &str) -> Vec<Link> {
    let base = format!("{prefix}{}", path(uuid));
    let mut links = vec![Link { rel: "self", href: base.clone() }];
    links.extend(parts(version).map(|rel| Link { rel, href: format!("{base}/{rel}") }));
    links
}

/// Returns the names that may follow a provider's uuid in a path in this microversion, such as `inventories`.
fn parts(version: Microversion) -> impl Iterator<Item = &'static str> {
    [
        ("inventories", true),
        ("usages", true),
        ("aggregates", version >= V1_1),
        ("traits", version >= V1_6),
        ("allocations", version >= V1_11),
    ]
    .into_iter()
    .filter(|(_, shown)| *shown)
    .map(|(part, _)| part)
}

/// Returns the JSON body of a list of providers, in the form of [`ProviderView`]. The text is built without a
/// `ProviderView` for each provider, since a list may have many thousand providers.
fn write_list(
    picture: &Picture,
    slots: &[Slot],
    version: Microversion,
    prefix: &str,
    stop: &Stop,
) -> Result<String, GivenUp> {
    let mut pace = Pace::new(stop);
    let (parts, path): (Vec<&str>, String) = (parts(version).collect(), format!("{prefix}{PATH}"));
    // A provider needs about 700 bytes of JSON.
    let mut out = String::with_capacity(slots.len() * 768 + 32);
    out.push_str("{\"resource_providers\":[");
    for (number, slot) in slots.iter().enumerate() {
        pace.step()?;
        if number > 0 {
            out.push(',');
        }
        write_provider(&mut out, picture, picture.provider(*slot), (&path, &parts), version);
    }
    out.push_str("]}");
    Ok(out)
}

fn write_provider(
    out: &mut String,
    picture: &Picture,
    provider: &Provider,
    (path, parts): (&str, &[&str]),
    version: Microversion,
) {
    let uuid: &str = &provider.uuid;
    let mut push = |pieces: &[&str]| pieces.iter().for_each(|piece| out.push_str(piece));
    // JSON must escape some characters of a name. Uuids and numbers need no escape.
    let name = serde_json::Value::from(provider.name.as_deref()).to_string();
    let generation = provider.generation.to_string();
    push(&["{\"uuid\":\"", uuid, "\",\"name\":", &name, ",\"generation\":", &generation]);
    push(&[",\"links\":[{\"rel\":\"self\",\"href\":\"", path, uuid, "\"}"]);
    for part in parts {
        push(&[",{\"rel\":\"", part, "\",\"href\":\"", path, uuid, "/", part, "\"}"]);
    }
    push(&["]"]);
    if version >= V1_14 {
        match provider.parent {
            Some(parent) => push(&[",\"parent_provider_uuid\":\"", &picture.provider(parent).uuid, "\""]),
            None => push(&[",\"parent_provider_uuid\":null"]),
        }
        push(&[",\"root_provider_uuid\":\"", &picture.provider(provider.root).uuid, "\""]);
    }
    push(&["}"]);
}

fn shown(call: &Call, provider: &ResourceProvider) -> Reply {
    let time = newest([(provider.created_at, provider.updated_at)].into_iter());
    Reply::json(StatusCode::OK, &view(provider, call.version, &call.prefix)).cacheable(call.version, time)
}

/// Handles `GET /resource_providers`, which lists the providers that match all filters.
pub async fn list(call: Call) -> HandlerResult {
    let mut filter = filter(&call)?;
    call.app.db.see_others().await?;
    Texts::of_list(&mut filter).respell(&call.app).await?;
    let (fleet, version, prefix) = (Arc::clone(&call.app.fleet), call.version, call.prefix.clone());
    let search = move |stop: &Stop| {
        let picture = fleet.read();
        let found = listing::list(&picture, &filter, stop)?;
        let time =
            newest(found.iter().map(|slot| picture.provider(*slot)).map(|p| (p.created_at, p.updated_at)));
        Ok((write_list(&picture, &found, version, &prefix, stop)?, time))
    };
    let (body, time) = call.app.searchers.run(search).await?.map_err(|error: Error| {
        let unknown = match error {
            Error::ResourceClassNotFound(_) => "Invalid resource class in resources parameter: ",
            Error::TraitNotFound(_) => "Invalid trait(s) in \"required\" parameter: ",
            _ => "",
        };
        ApiError::from(error).not_found_is_bad().context(unknown)
    })?;
    Ok(Reply::raw_json(StatusCode::OK, body).cacheable(version, time))
}

fn filter(call: &Call) -> Result<ListFilter, ApiError> {
    let query = call.checked_query(RESOURCE_PROVIDERS_QUERY.at(call.version))?;
    let aggregates = constraints::member_of(query, "member_of", call.version)?;
    let traits = constraints::required(query, "required", call.version)?;
    // A parameter with an empty value does not restrict the list.
    let text = |name| query.last(name).filter(|value| !value.is_empty()).map(str::to_owned);
    Ok(ListFilter {
        name: text("name"),
        uuid: text("uuid"),
        in_tree: text("in_tree"),
        member_of: aggregates.member_of,
        forbidden_aggregates: aggregates.forbidden,
        required: traits.required,
        forbidden_traits: traits.forbidden,
        resources: query.last("resources").map(constraints::resources).transpose()?.unwrap_or_default(),
    })
}

/// Handles `POST /resource_providers`, which creates a provider.
pub async fn create(call: Call) -> HandlerResult {
    let body: CreateBody = call.json(RESOURCE_PROVIDER_POST.at(call.version))?;
    let uuid =
        body.uuid.as_deref().and_then(canonical_uuid).unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let new = NewProvider { uuid, name: body.name, parent_uuid: body.parent_provider_uuid };
    let tried = format!("Unable to create resource provider \"{}\", {}: ", new.name, new.uuid);
    let created =
        call.write(Plain::new("create resource provider", move |conn| providers::create(conn, &new))).await;
    let provider = created.map_err(Fenced::told(|error| match error {
        Error::DuplicateProviderName(_) | Error::DuplicateProviderUuid(_) => {
            let message = format!("Conflicting resource provider {error} already exists.");
            ApiError::conflict_with(Code::DuplicateName, message)
        }
        error => ApiError::from(error).context(tried),
    }))?;
    let reply =
        if call.at_least(V1_20) { shown(&call, &provider) } else { Reply::empty(StatusCode::CREATED) };
    Ok(reply.location(path(&provider.uuid)))
}

/// Handles `GET /resource_providers/{uuid}`, which shows a provider.
pub async fn show(call: Call) -> HandlerResult {
    let uuid = call.param("uuid").to_owned();
    let provider = call.app.db.read(move |conn| providers::find(conn, &uuid)).await?;
    Ok(shown(&call, &provider))
}

/// Handles `PUT /resource_providers/{uuid}`, which changes the name or the parent of a provider.
pub async fn update(call: Call) -> HandlerResult {
    let uuid = call.param("uuid").to_owned();
    let body: UpdateBody = call.provider_json(RESOURCE_PROVIDER_PUT.at(call.version)).await?;
    let changes = ProviderChanges {
        name: body.name,
        parent_uuid: body.parent_provider_uuid,
        allow_reparenting: call.at_least(V1_37),
    };
    let tried = format!("Unable to save resource provider {uuid}: ");
    let work = move |conn: &mut _| providers::update(conn, &uuid, &changes);
    let updated = call.write(Plain::new("update resource provider", work)).await;
    let provider = updated.map_err(Fenced::told(|error| match error {
        Error::DuplicateProviderName(name) => {
            let message = format!("Conflicting resource provider {name} already exists.");
            ApiError::conflict_with(Code::DuplicateName, message)
        }
        Error::Tree { .. } => ApiError::from(error).context(tried),
        error => error.into(),
    }))?;
    Ok(shown(&call, &provider))
}

/// Handles `DELETE /resource_providers/{uuid}`, which deletes a provider.
pub async fn delete(call: Call) -> HandlerResult {
    let uuid = call.param("uuid").to_owned();
    let named = uuid.clone();
    let deleted =
        call.write(Plain::new("delete resource provider", move |conn| providers::delete(conn, &uuid))).await;
    deleted.map_err(Fenced::told(|error| match error {
        Error::ProviderNotFound(_) => ApiError::not_found(format!("{error} for delete")),
        Error::ProviderHasChildren => ApiError::conflict_with(
            Code::CannotDeleteParent,
            format!("Unable to delete parent resource provider {named}: It has child resource providers."),
        ),
        Error::ProviderInUse | Error::ProviderAwaited => {
            ApiError::from(error).context(format!("Unable to delete resource provider {named}: "))
        }
        error => error.into(),
    }))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProviderId;
    use crate::store::fleet::{NameRows, ProviderRow};
    use crate::wire::microversion::{V1_0, V1_39};

    #[test]
    fn a_list_is_made_of_what_is_shown_of_one() {
        let row = |id: i32, name: Option<&str>, parent_id| ProviderRow {
            id: ProviderId::new(id),
            uuid: format!("00000000-0000-4000-8000-{id:012}"),
            name: name.map(str::to_owned),
            generation: Generation::new(id * 10),
            root_id: ProviderId::new(1),
            parent_id,
            ..ProviderRow::default()
        };
        let rows = vec![row(1, Some("a \"b\" \\ \n ☃ \u{1f}"), None), row(2, None, Some(ProviderId::new(1)))];
        let picture = Picture::new(NameRows::default(), rows.clone());
        for version in [V1_0, V1_1, V1_6, V1_11, V1_14, V1_39] {
            let views: Vec<ResourceProvider> = rows
                .iter()
                .map(|row| ResourceProvider {
                    id: row.id,
                    uuid: row.uuid.clone(),
                    name: row.name.clone(),
                    generation: Some(row.generation),
                    root_id: ProviderId::new(1),
                    root_uuid: rows[0].uuid.clone(),
                    parent_id: row.parent_id,
                    parent_uuid: row.parent_id.map(|_| rows[0].uuid.clone()),
                    created_at: None,
                    updated_at: None,
                })
                .collect();
            for prefix in ["", "/placement"] {
                let views: Vec<ProviderView<'_>> =
                    views.iter().map(|provider| view(provider, version, prefix)).collect();
                let expected = serde_json::json!({ "resource_providers": views }).to_string();
                let slots: Vec<Slot> = rows.iter().map(|row| picture.find(&row.uuid).unwrap()).collect();
                let list = write_list(&picture, &slots, version, prefix, &Stop::default()).unwrap();
                assert_eq!(list, expected);
            }
        }
    }
}

//! `/resource_classes` and `/resource_classes/{name}`.

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::api::resources::view::{Link, newest};
use crate::api::{Call, HandlerResult, Reply};
use crate::placement::{Error, resource_classes as classes};
use crate::wire::microversion::V1_7;
use crate::wire::{ApiError, schema};

#[derive(Deserialize)]
struct NameBody {
    name: String,
}

#[derive(Serialize)]
struct View<'a> {
    name: &'a str,
    links: [Link; 1],
}

#[derive(Serialize)]
struct ListView<'a> {
    resource_classes: Vec<View<'a>>,
}

fn path(name: &str) -> String {
    format!("/resource_classes/{name}")
}

fn view<'a>(name: &'a str, prefix: &str) -> View<'a> {
    View { name, links: [Link { rel: "self", href: format!("{prefix}{}", path(name)) }] }
}

/// `GET /resource_classes`
pub async fn list(call: Call) -> HandlerResult {
    let list = call.app.db.read(classes::list).await?;
    let time = newest(list.iter().map(|c| (c.created_at, c.updated_at)));
    let resource_classes = list.iter().map(|c| view(&c.name, &call.prefix)).collect();
    Ok(Reply::json(StatusCode::OK, &ListView { resource_classes }).cacheable(call.version, time))
}

/// `POST /resource_classes`
pub async fn create(call: Call) -> HandlerResult {
    let NameBody { name } = call.json(&schema::RESOURCE_CLASS)?;
    let location = path(&name);
    let created = call.write("create resource class", move |conn| classes::create(conn, &name)).await?;
    created.map_err(|error| match error {
        Error::DuplicateResourceClass(name) => {
            ApiError::conflict(format!("Conflicting resource class already exists: {name}"))
        }
        error => error.into(),
    })?;
    Ok(Reply::empty(StatusCode::CREATED).location(location))
}

/// `GET /resource_classes/{name}`
pub async fn show(call: Call) -> HandlerResult {
    let name = call.param("name").to_owned();
    let class = call.app.db.read(move |conn| classes::find(conn, &name)).await?;
    let time = newest([(class.created_at, class.updated_at)].into_iter());
    Ok(Reply::json(StatusCode::OK, &view(&class.name, &call.prefix)).cacheable(call.version, time))
}

/// `PUT /resource_classes/{name}`: renames a class before 1.7, and from then on makes sure that one
/// of this name exists.
pub async fn update(call: Call) -> HandlerResult {
    if call.at_least(V1_7) { ensure(call).await } else { rename(call).await }
}

async fn rename(call: Call) -> HandlerResult {
    let body: NameBody = call.json(&schema::RESOURCE_CLASS)?;
    let name = call.param("name").to_owned();
    let work = move |conn: &mut _| classes::rename(conn, &name, &body.name);
    let renamed = call.write("rename resource class", work).await?;
    let class = renamed.map_err(|error| match error {
        Error::DuplicateResourceClass(name) => {
            ApiError::conflict(format!("Resource class already exists: {name}"))
        }
        Error::StandardResourceClass(name) => {
            ApiError::bad_request(format!("Cannot update standard resource class {name}"))
        }
        error => error.into(),
    })?;
    Ok(Reply::json(StatusCode::OK, &view(&class.name, &call.prefix)))
}

async fn ensure(call: Call) -> HandlerResult {
    let name = call.param("name").to_owned();
    // The name is held to the rules of a body that would bring it.
    schema::loaded(&schema::RESOURCE_CLASS)?.check(&serde_json::json!({ "name": name }))?;
    let location = path(&name);
    let made = call.write("ensure resource class", move |conn| classes::ensure(conn, &name)).await??;
    let status = if made { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    Ok(Reply::empty(status).location(location))
}

/// `DELETE /resource_classes/{name}`
pub async fn delete(call: Call) -> HandlerResult {
    let name = call.param("name").to_owned();
    let deleted = call.write("delete resource class", move |conn| classes::delete(conn, &name)).await?;
    deleted.map_err(|error| match error {
        Error::StandardResourceClass(_) | Error::ResourceClassInUse(_) => {
            ApiError::from(error).context("Error in delete resource class: ")
        }
        error => error.into(),
    })?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

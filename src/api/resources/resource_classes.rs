//! `/resource_classes` and `/resource_classes/{name}`: the kinds of resources, such as `VCPU`.

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::api::fence::Fenced;
use crate::api::operation::{GONE, SHOWN, Shapes, empty, json, operation};
use crate::api::resources::view::{Link, newest};
use crate::api::route::{Route, answer};
use crate::api::schemas::schemas;
use crate::api::{Call, HandlerResult, Reply, route};
use crate::commit::Plain;
use crate::placement::{Error, resource_classes as classes};
use crate::wire::microversion::{V1_2, V1_7};
use crate::wire::schema::Versions;
use crate::wire::{ApiError, Code, schema};

schemas! {
    body pub(crate) RESOURCE_CLASS = "resource_class_1_2";
}

const CLASS: &str = "/resource_classes/{name}";
const CLASSES: &str = "Resource classes";
const CLASS_SHAPES: Shapes = &[(V1_2, "resource_class_show_1_2")];

/// The routes of resource classes.
pub(crate) static ROUTES: &[Route] = &[
    route::get("/resource_classes", "placement:resource_classes:list", answer!(list)).since(V1_2).described(
        operation(CLASSES, "List resource classes").answers(&[json(
            200,
            SHOWN,
            &[(V1_2, "resource_class_list_1_2")],
        )]),
    ),
    route::post("/resource_classes", "placement:resource_classes:create", answer!(create))
        .since(V1_2)
        .described(
            operation(CLASSES, "Create a resource class")
                .body(Versions::only(V1_2, &RESOURCE_CLASS))
                .answers(&[empty(201, "It was created.").located()])
                .codes(&[(409, &[Code::Undefined])]),
        ),
    route::get(CLASS, "placement:resource_classes:show", answer!(show))
        .since(V1_2)
        .described(operation(CLASSES, "Show a resource class").answers(&[json(200, SHOWN, CLASS_SHAPES)])),
    route::put(CLASS, "placement:resource_classes:update", answer!(update))
        .since(V1_2)
        .body_before(V1_7)
        .described(
            operation(CLASSES, "Rename a resource class (before 1.7), or make sure that it exists")
                .name(&RESOURCE_CLASS)
                .body(Versions::only(V1_2, &RESOURCE_CLASS))
                .answers(&[
                    json(200, "It was renamed.", CLASS_SHAPES).until(V1_7).dated(None),
                    empty(201, "It was created.").since(V1_7).located(),
                    empty(204, "It was there already.").since(V1_7).located(),
                ])
                .codes(&[(409, &[Code::Undefined])]),
        ),
    route::delete(CLASS, "placement:resource_classes:delete", answer!(delete)).since(V1_2).described(
        operation(CLASSES, "Delete a resource class")
            .answers(&[empty(204, GONE)])
            .codes(&[(409, &[Code::Undefined])]),
    ),
];

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

/// Handles `GET /resource_classes`, which lists all classes.
pub async fn list(call: Call) -> HandlerResult {
    let list = call.app.db.read(classes::list).await?;
    let time = newest(list.iter().map(|c| (c.created_at, c.updated_at)));
    let resource_classes = list.iter().map(|c| view(&c.name, &call.prefix)).collect();
    Ok(Reply::json(StatusCode::OK, &ListView { resource_classes }).cacheable(call.version, time))
}

/// Handles `POST /resource_classes`, which creates a class.
pub async fn create(call: Call) -> HandlerResult {
    let NameBody { name } = call.json(&RESOURCE_CLASS)?;
    let location = path(&name);
    let created =
        call.write(Plain::new("create resource class", move |conn| classes::create(conn, &name))).await;
    created.map_err(Fenced::told(|error| match error {
        Error::DuplicateResourceClass(name) => {
            ApiError::conflict(format!("Conflicting resource class already exists: {name}"))
        }
        error => error.into(),
    }))?;
    Ok(Reply::empty(StatusCode::CREATED).location(location))
}

/// Handles `GET /resource_classes/{name}`, which shows a class.
pub async fn show(call: Call) -> HandlerResult {
    let name = call.param("name").to_owned();
    let class = call.app.db.read(move |conn| classes::find(conn, &name)).await?;
    let time = newest([(class.created_at, class.updated_at)].into_iter());
    Ok(Reply::json(StatusCode::OK, &view(&class.name, &call.prefix)).cacheable(call.version, time))
}

/// Handles `PUT /resource_classes/{name}`. Before microversion 1.7, the request renames a class. From 1.7 on, the
/// request creates the class if the class does not exist.
pub async fn update(call: Call) -> HandlerResult {
    if call.at_least(V1_7) { ensure(call).await } else { rename(call).await }
}

async fn rename(call: Call) -> HandlerResult {
    let body: NameBody = call.json(&RESOURCE_CLASS)?;
    let name = call.param("name").to_owned();
    let work = move |conn: &mut _| classes::rename(conn, &name, &body.name);
    let renamed = call.write(Plain::new("rename resource class", work)).await;
    let class = renamed.map_err(Fenced::told(|error| match error {
        Error::DuplicateResourceClass(name) => {
            ApiError::conflict(format!("Resource class already exists: {name}"))
        }
        Error::StandardResourceClass(name) => {
            ApiError::bad_request(format!("Cannot update standard resource class {name}"))
        }
        error => error.into(),
    }))?;
    Ok(Reply::json(StatusCode::OK, &view(&class.name, &call.prefix)))
}

async fn ensure(call: Call) -> HandlerResult {
    let name = call.param("name").to_owned();
    // The schema describes the body `{"name": …}`. The name in the path must follow the rules of the member `name`.
    schema::loaded(&RESOURCE_CLASS)?.check(&serde_json::json!({ "name": name }))?;
    let location = path(&name);
    let made =
        call.write(Plain::new("ensure resource class", move |conn| classes::ensure(conn, &name))).await?;
    let status = if made { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    Ok(Reply::empty(status).location(location))
}

/// Handles `DELETE /resource_classes/{name}`, which deletes a class.
pub async fn delete(call: Call) -> HandlerResult {
    let name = call.param("name").to_owned();
    let deleted =
        call.write(Plain::new("delete resource class", move |conn| classes::delete(conn, &name))).await;
    deleted.map_err(Fenced::told(|error| match error {
        Error::StandardResourceClass(_) | Error::ResourceClassInUse(_) => {
            ApiError::from(error).context("Error in delete resource class: ")
        }
        error => error.into(),
    }))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

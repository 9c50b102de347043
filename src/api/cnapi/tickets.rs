//! `/servers/{server}/tickets` and `/tickets/{ticket}`: the dialect of deployed versions of CNAPI, Triton's API.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::page::{Page, Wrong};
use super::view::{CreatedView, TicketView};
use super::{MOST, error, find, known_owner, owner, params};
use crate::api::fence::Fenced;
use crate::api::operation::{SHOWN, Shapes, empty, operation, plain};
use crate::api::route::{Route, answer};
use crate::api::schemas::schemas;
use crate::api::waitlist::{body, write_end};
use crate::api::{Call, HandlerResult, Reply, route};
use crate::auth::policy;
use crate::commit::Plain;
use crate::waitlist::{self, Error, ExpectedQueue, NewTicket, QueueFilter, Status, Term, TicketFilter};
use crate::wire::microversion::V1_0;
use crate::wire::schema::Versions;
use crate::wire::uuids::{canonical_uuid, is_dashed_uuid};
use crate::wire::{ApiError, times};

schemas! {
    body CNAPI_TICKET_POST = "cnapi_ticket_post_1_0";
    query CNAPI_FORCE_QUERY = "cnapi_force_query_1_0";
    query CNAPI_TICKETS_QUERY = "cnapi_tickets_query_1_0";
}

const SERVER_TICKETS: &str = "/servers/{server}/tickets";
const CNAPI_TICKET: &str = "/tickets/{ticket}";
const CNAPI_WAIT: &str = "/tickets/{ticket}/wait";
const CNAPI_RELEASE: &str = "/tickets/{ticket}/release";
const CNAPI: &str = "Waitlist of CNAPI";
const CNAPI_SHAPES: Shapes = &[(V1_0, "cnapi_ticket_1_0")];
const CNAPI_LIST: Shapes = &[(V1_0, "cnapi_ticket_list_1_0")];
const CNAPI_CREATED: Shapes = &[(V1_0, "cnapi_created_1_0")];
const NO_UUID: &[(u16, &str)] = &[(409, "The name of the ticket is no uuid.")];

/// The routes of deployed versions of CNAPI.
pub(crate) static ROUTES: &[Route] = &[
    route::cnapi(Method::GET, SERVER_TICKETS, policy::WAITLIST_LIST, answer!(list)).described(
        operation(CNAPI, "List the tickets of a server")
            .query(Versions::only(V1_0, &CNAPI_TICKETS_QUERY))
            .answers(&[plain(200, "As they were created, also those that have ended.", CNAPI_LIST)])
            .words(&[(409, "A parameter makes no sense, or there is no such one.")]),
    ),
    route::cnapi(Method::POST, SERVER_TICKETS, policy::WAITLIST_CREATE, answer!(create)).described(
        operation(CNAPI, "Take a ticket of a server")
            .body(Versions::only(V1_0, &CNAPI_TICKET_POST))
            .answers(&[plain(
                202,
                "It was taken: its queue has it, active if nobody was before it.",
                CNAPI_CREATED,
            )])
            .words(&[(409, "The request makes no sense, or the queue is full.")]),
    ),
    route::cnapi(Method::DELETE, SERVER_TICKETS, policy::WAITLIST_DELETE_ALL, answer!(delete_all)).described(
        operation(CNAPI, "Delete all tickets of a server")
            .query(Versions::only(V1_0, &CNAPI_FORCE_QUERY))
            .answers(&[empty(204, "There are none any more.")])
            .words(&[(409, "The name of the server is no uuid."), (412, "It is not forced.")]),
    ),
    route::cnapi(Method::GET, CNAPI_TICKET, policy::WAITLIST_SHOW, answer!(show)).described(
        operation(CNAPI, "Show a ticket of a server")
            .answers(&[plain(200, SHOWN, CNAPI_SHAPES)])
            .words(NO_UUID),
    ),
    route::cnapi(Method::DELETE, CNAPI_TICKET, policy::WAITLIST_DELETE, answer!(delete)).described(
        operation(CNAPI, "Delete a ticket of a server")
            .answers(&[empty(204, "It is gone; the next one is active.")])
            .words(NO_UUID),
    ),
    route::cnapi(Method::GET, CNAPI_WAIT, policy::WAITLIST_SHOW, answer!(wait)).described(
        operation(CNAPI, "Wait until a ticket is active").answers(&[empty(204, "It is active.")]).words(&[
            (409, "It is finished, or its name is no uuid."),
            (500, "It has expired, as the message says."),
            (
                503,
                "It is still queued, and may be waited for again; or the database or Keystone is out of \
                 reach.",
            ),
        ]),
    ),
    route::cnapi(Method::PUT, CNAPI_RELEASE, policy::WAITLIST_DELETE, answer!(release)).described(
        operation(CNAPI, "Release a ticket of a server, or give it up while it waits")
            .answers(&[empty(204, "It has ended, now or before; the next one is active.")])
            .words(NO_UUID),
    ),
];

/// The body of a POST, which creates a ticket.
#[derive(Deserialize)]
struct CreateBody {
    scope: String,
    id: String,
    expires_at: String,
    action: Option<String>,
    extra: Option<Value>,
    req_id: Option<String>,
}

impl CreateBody {
    fn into_new(self, call: &Call, owner: String) -> Result<NewTicket, ApiError> {
        let settings = call.app.waitlist.settings();
        let names = [("scope", &self.scope), ("id", &self.id), ("expires_at", &self.expires_at)];
        let others = [("action", &self.action), ("req_id", &self.req_id)];
        let others = others.iter().filter_map(|(what, text)| Some((*what, text.as_ref()?)));
        for (what, text) in names.into_iter().chain(others) {
            body::check_name(what, text, settings)?;
        }
        let end = times::parse_partial(&self.expires_at)
            .ok_or_else(|| error::invalid("expires_at is not a time such as 2026-11-24T10:00:00.000Z"))?;
        Ok(NewTicket {
            owner,
            scope: self.scope,
            id: self.id,
            action: self.action,
            extra: self.extra.map(|extra| body::extra_text(&extra, settings)).transpose()?,
            term: Term::Until(end),
            expires_text: Some(self.expires_at),
            project_id: call.identity.project.clone(),
            user_id: Some(call.identity.user.clone()).filter(|user| !user.is_empty()),
            // Responses show this id as `reqid`. The id is from the client, and is not the service's own id of the
            // request.
            request_id: self.req_id,
            expected: ExpectedQueue::Anything,
        })
    }
}

/// Handles `GET /servers/{server}/tickets`, which lists tickets.
pub async fn list(call: Call) -> HandlerResult {
    let owner = owner(&call)?;
    let page = match Page::of(&params::in_query(&call)?) {
        Ok(page) => page,
        Err(wrong @ Wrong::TooMany) => return Err(error::invalid(wrong.to_string())),
        Err(wrong @ Wrong::Malformed(field, _)) => return Ok(invalid_parameter(field, &wrong.to_string())),
    };
    call.checked_query(&CNAPI_TICKETS_QUERY).map_err(error::as_invalid)?;
    let queues = QueueFilter { owner: Some(owner), ..QueueFilter::default() };
    let filter = TicketFilter { queues, statuses: Vec::new(), after: None, limit: page.limit };
    let work = move |conn: &mut _| waitlist::list_by_creation(conn, &filter, page.offset);
    let tickets = call.app.db.read_snapshot(work).await.map_err(error::refused)?;
    let shown: Vec<TicketView<'_>> = tickets.iter().map(TicketView::new).collect();
    Ok(Reply::json(StatusCode::OK, &shown))
}

/// Returns the 409 for a `limit` or `offset` that is not a number.
fn invalid_parameter(field: &str, message: &str) -> Reply {
    let errors = json!([{ "field": field, "code": "Invalid", "message": message }]);
    let body = json!({ "code": "InvalidParameters", "message": "Invalid parameters", "errors": errors });
    Reply::json(StatusCode::CONFLICT, &body)
}

/// Handles `POST /servers/{server}/tickets`, which creates a ticket.
pub async fn create(call: Call) -> HandlerResult {
    let owner = known_owner(&call).await?;
    let asked = params::merged(&call)?;
    let body: CreateBody = params::read(asked, &CNAPI_TICKET_POST).map_err(error::as_invalid)?;
    let new = body.into_new(&call, owner).map_err(error::as_invalid)?;
    let app = call.app.clone();
    let work = move |tx: &mut _| {
        let (ticket, _) = waitlist::join(tx, &new, app.waitlist.now(), app.waitlist.settings())?;
        let mut queue = waitlist::list_live(tx, &ticket, MOST)?;
        if queue.iter().all(|other| other.uuid != ticket.uuid) {
            // The queue has more than `MOST` tickets, so the list ends before the new ticket. The new ticket is
            // added, because clients search the list for their own ticket.
            queue.push(ticket.clone());
        }
        Ok::<_, Error>((ticket, queue))
    };
    let (ticket, queue) =
        call.write(Plain::new("take a ticket", work)).await.map_err(Fenced::told(error::refused))?;
    Ok(Reply::json(StatusCode::ACCEPTED, &CreatedView::new(&ticket, &queue)))
}

/// Handles `DELETE /servers/{server}/tickets`, which deletes all tickets of a server.
pub async fn delete_all(call: Call) -> HandlerResult {
    let owner = known_owner(&call).await?;
    if params::merged(&call)?.get("force").and_then(Value::as_str) != Some("true") {
        let message = "Tickets of a server are only deleted with force=true";
        return Err(ApiError::new(StatusCode::PRECONDITION_FAILED, message));
    }
    loop {
        let (app, owner) = (call.app.clone(), owner.clone());
        let work = move |tx: &mut _| waitlist::remove_some(tx, &owner, MOST, app.waitlist.now());
        let gone = write_end(&call, "delete tickets", work).await.map_err(Fenced::told(error::refused))?;
        // A batch with fewer than `MOST` tickets was the last batch. Tickets that are created after the last batch
        // are not deleted.
        if i64::try_from(gone).is_ok_and(|gone| gone < MOST) {
            return Ok(Reply::empty(StatusCode::NO_CONTENT));
        }
    }
}

/// Returns the ticket's uuid in the path. Returns a 409 if the text in the path is no uuid.
fn named(call: &Call) -> Result<String, ApiError> {
    let named = call.param("ticket");
    let uuid = canonical_uuid(named).filter(|_| is_dashed_uuid(named));
    uuid.ok_or_else(|| error::invalid(format!("ticket_uuid: {named:?} is not a uuid")))
}

/// Handles `GET /tickets/{ticket}`, which shows a ticket.
pub async fn show(call: Call) -> HandlerResult {
    let ticket = find(&call, policy::WAITLIST_SHOW, named(&call)?, None).await?;
    Ok(Reply::json(StatusCode::OK, &TicketView::new(&ticket)))
}

/// Handles `GET /tickets/{ticket}/wait`, which waits until a ticket is active.
pub async fn wait(call: Call) -> HandlerResult {
    let ticket = find(&call, policy::WAITLIST_SHOW, named(&call)?, None).await?;
    let uuid = ticket.uuid;
    if ticket.status == Status::Expired {
        return Err(expired(format!("ticket {uuid} is expired")));
    }
    let timeout = Duration::from_secs(call.app.waitlist.settings().max_wait_seconds);
    let wait = call.app.waitlist.wait(&call.app.db, &uuid, timeout);
    let ticket = Box::pin(wait).await.map_err(error::refused)?;
    match ticket.status {
        Status::Active => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        Status::Expired => Err(expired("ticket has expired")),
        Status::Finished => Err(error::invalid(format!("ticket {uuid} is finished"))),
        // The time limit of the wait has passed, or the service is stopping. The client may repeat the wait.
        Status::Queued => {
            let message = format!("ticket {uuid} is still queued; wait again");
            Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message))
        }
    }
}

/// Returns the error for an expired ticket. Clients expect the status 500 and this message.
fn expired(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
}

/// Handles `PUT /tickets/{ticket}/release`, which ends a ticket.
pub async fn release(call: Call) -> HandlerResult {
    params::merged(&call)?;
    let uuid = find(&call, policy::WAITLIST_DELETE, named(&call)?, None).await?.uuid;
    let app = call.app.clone();
    let work = move |tx: &mut _| waitlist::end(tx, &uuid, None, app.waitlist.now());
    write_end(&call, "release a ticket", work).await.map_err(Fenced::told(error::refused))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Handles `DELETE /tickets/{ticket}`, which ends and deletes a ticket.
pub async fn delete(call: Call) -> HandlerResult {
    let uuid = find(&call, policy::WAITLIST_DELETE, named(&call)?, None).await?.uuid;
    let app = call.app.clone();
    let work = move |tx: &mut _| waitlist::remove(tx, &uuid, app.waitlist.now());
    write_end(&call, "delete a ticket", work).await.map_err(Fenced::told(error::refused))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

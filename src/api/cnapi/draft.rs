//! `/servers/{server}/waitlist`: the dialect in the first draft of the documentation of CNAPI, Triton's API.

use actix_web::http::{Method, StatusCode};
use serde::Deserialize;

use super::page::Page;
use super::view::DraftView;
use super::{error, find, known_owner, owner, params};
use crate::api::fence::Fenced;
use crate::api::operation::{SHOWN, Shapes, empty, operation, plain};
use crate::api::route::{Route, answer};
use crate::api::schemas::schemas;
use crate::api::waitlist::{body, write_end};
use crate::api::{Call, HandlerResult, Reply, route};
use crate::auth::policy;
use crate::commit::Plain;
use crate::waitlist::{self, ExpectedQueue, NewTicket, QueueFilter, Status, Term, TicketFilter};
use crate::wire::microversion::V1_0;
use crate::wire::query::Query;
use crate::wire::schema::Versions;
use crate::wire::uuids::canonical_uuid;
use crate::wire::{ApiError, schema, times};

schemas! {
    body CNAPI_DRAFT_POST = "cnapi_draft_post_1_0";
    query CNAPI_DRAFT_QUERY = "cnapi_draft_query_1_0";
    query CNAPI_DRAFT_TICKET_QUERY = "cnapi_draft_ticket_query_1_0";
}

const DRAFT: &str = "/servers/{server}/waitlist";
const DRAFT_TICKET: &str = "/servers/{server}/waitlist/{ticket}";
const CNAPI_DRAFT: &str = "Waitlist of CNAPI, first page";
const DRAFT_SHAPES: Shapes = &[(V1_0, "cnapi_draft_ticket_1_0")];
const DRAFT_LIST: Shapes = &[(V1_0, "cnapi_draft_ticket_list_1_0")];
const DRAFT_CREATED: Shapes = &[(V1_0, "cnapi_draft_created_1_0")];
const NO_SERVER: &[(u16, &str)] = &[(409, "The name of the server is no uuid.")];

/// The routes of the first draft of CNAPI.
pub(crate) static ROUTES: &[Route] = &[
    route::cnapi(Method::GET, DRAFT, policy::WAITLIST_LIST, answer!(list)).described(
        operation(CNAPI_DRAFT, "List the live tickets of a server")
            .query(Versions::only(V1_0, &CNAPI_DRAFT_QUERY))
            .answers(&[plain(200, "As they were created.", DRAFT_LIST)])
            .words(NO_SERVER),
    ),
    route::cnapi(Method::POST, DRAFT, policy::WAITLIST_CREATE, answer!(create)).described(
        operation(CNAPI_DRAFT, "Take a ticket of a server")
            .body(Versions::only(V1_0, &CNAPI_DRAFT_POST))
            .answers(&[plain(200, "It was taken.", DRAFT_CREATED)])
            .words(&[(409, "The name of the server is no uuid, or the queue is full.")]),
    ),
    route::cnapi(Method::GET, DRAFT_TICKET, policy::WAITLIST_SHOW, answer!(show)).described(
        operation(CNAPI_DRAFT, "Show a ticket of a server, or wait until it is active")
            .query(Versions::only(V1_0, &CNAPI_DRAFT_TICKET_QUERY))
            .answers(&[plain(200, SHOWN, DRAFT_SHAPES)])
            .words(NO_SERVER),
    ),
    route::cnapi(Method::DELETE, DRAFT_TICKET, policy::WAITLIST_DELETE, answer!(delete)).described(
        operation(CNAPI_DRAFT, "Delete a ticket of a server")
            .answers(&[empty(202, "It is gone; the next one is active.")])
            .words(NO_SERVER),
    ),
];

/// The body of a POST, which creates a ticket. The draft has two names for the id (`id`, `uid`) and two names for
/// the time at which the ticket expires (`expires`, `expires_at`).
#[derive(Deserialize)]
struct CreateBody {
    scope: String,
    id: Option<String>,
    uid: Option<String>,
    expires: Option<String>,
    expires_at: Option<String>,
}

impl CreateBody {
    fn into_new(self, call: &Call, owner: String) -> Result<NewTicket, ApiError> {
        let settings = call.app.waitlist.settings();
        let id = self.id.or(self.uid);
        let id =
            id.ok_or_else(|| ApiError::bad_request("JSON does not validate: 'id' is a required property"))?;
        body::check_name("scope", &self.scope, settings)?;
        body::check_name("id", &id, settings)?;
        let expires_text = self.expires.or(self.expires_at);
        body::check_name("expires", expires_text.as_deref().unwrap_or_default(), settings)?;
        let term = match &expires_text {
            None => Term::Unlimited,
            Some(text) => Term::Until(times::parse_partial(text).ok_or_else(|| {
                ApiError::bad_request(
                    "JSON does not validate: expires is not a time such as 2026-11-24T10:00:00",
                )
            })?),
        };
        Ok(NewTicket {
            owner,
            scope: self.scope,
            id,
            action: None,
            extra: None,
            term,
            expires_text,
            project_id: call.identity.project.clone(),
            user_id: Some(call.identity.user.clone()).filter(|user| !user.is_empty()),
            request_id: Some(call.request_id.clone()),
            expected: ExpectedQueue::Anything,
        })
    }
}

/// Handles `GET /servers/{server}/waitlist`, which lists tickets.
pub async fn list(call: Call) -> HandlerResult {
    let owner = owner(&call)?;
    let page = Page::of(&params::in_query(&call)?);
    let page = page.map_err(|wrong| ApiError::bad_request(wrong.to_string()))?;
    let query = call.checked_query(&CNAPI_DRAFT_QUERY)?;
    let text = |name| query.last(name).map(str::to_owned);
    let queues =
        QueueFilter { owner: Some(owner), scope: text("scope"), resource_id: text("id").or(text("uid")) };
    let filter = TicketFilter { queues, statuses: Status::LIVE.to_vec(), after: None, limit: page.limit };
    let work = move |conn: &mut _| waitlist::list_by_creation(conn, &filter, page.offset);
    let tickets = call.app.db.read_snapshot(work).await.map_err(error::refused)?;
    let shown: Vec<DraftView<'_>> = tickets.iter().map(DraftView::new).collect();
    Ok(Reply::json(StatusCode::OK, &shown))
}

/// Handles `POST /servers/{server}/waitlist`, which creates a ticket.
pub async fn create(call: Call) -> HandlerResult {
    let owner = known_owner(&call).await?;
    let asked = params::merged_with(&call, &without_continuations(&call.body))?;
    let body: CreateBody = params::read(asked, &CNAPI_DRAFT_POST)?;
    let new = body.into_new(&call, owner)?;
    let app = call.app.clone();
    let work = move |tx: &mut _| waitlist::join(tx, &new, app.waitlist.now(), app.waitlist.settings());
    let (ticket, _) =
        call.write(Plain::new("take a ticket", work)).await.map_err(Fenced::told(error::refused))?;
    Ok(Reply::json(StatusCode::OK, &serde_json::json!({ "ticket_uuid": ticket.uuid })))
}

/// Returns a body without the backslashes at the ends of its lines. The shell example in the draft sends such
/// backslashes within the JSON, where JSON does not allow backslashes.
fn without_continuations(body: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(body.len());
    for byte in body {
        if *byte == b'\n' && kept.last() == Some(&b'\\') {
            kept.pop();
        }
        kept.push(*byte);
    }
    kept
}

/// Handles `GET /servers/{server}/waitlist/{ticket}`, which shows a ticket, or waits until the ticket is no longer
/// queued. In the draft, the URL of a wait ends with `/{ticket}&wait=true`. The usual `?wait=true` is accepted too.
pub async fn show(call: Call) -> HandlerResult {
    let owner = owner(&call)?;
    let (uuid, more) = named(&call);
    let more = Query::parse_form(&more).map_err(|error| ApiError::bad_request(error.to_string()))?;
    schema::loaded(&CNAPI_DRAFT_TICKET_QUERY)?.check_query(&more)?;
    let query = call.checked_query(&CNAPI_DRAFT_TICKET_QUERY)?;
    let waits = [query, &more].iter().any(|query| query.last("wait") == Some("true"));
    let mut ticket = find(&call, policy::WAITLIST_SHOW, uuid, Some(owner)).await?;
    if waits {
        let timeout = std::time::Duration::from_secs(call.app.waitlist.settings().max_wait_seconds);
        let wait = call.app.waitlist.wait(&call.app.db, &ticket.uuid, timeout);
        ticket = Box::pin(wait).await.map_err(error::refused)?;
    }
    Ok(Reply::json(StatusCode::OK, &DraftView::new(&ticket)))
}

/// Splits the last part of the path, such as `{ticket}&wait=true`. Returns the ticket's uuid, and the text after
/// the first `&`.
fn named(call: &Call) -> (String, String) {
    let named = call.param("ticket");
    let (uuid, more) = named.split_once('&').unwrap_or((named, ""));
    (canonical_uuid(uuid).unwrap_or_else(|| uuid.to_owned()), more.to_owned())
}

/// Handles `DELETE /servers/{server}/waitlist/{ticket}`, which ends and deletes a ticket.
pub async fn delete(call: Call) -> HandlerResult {
    let owner = owner(&call)?;
    let (uuid, _) = named(&call);
    let uuid = find(&call, policy::WAITLIST_DELETE, uuid, Some(owner)).await?.uuid;
    let app = call.app.clone();
    let work = move |tx: &mut _| waitlist::remove(tx, &uuid, app.waitlist.now());
    write_end(&call, "delete a ticket", work).await.map_err(Fenced::told(error::refused))?;
    Ok(Reply::empty(StatusCode::ACCEPTED))
}

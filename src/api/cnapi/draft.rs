//! `/servers/{server}/waitlist`: the dialect of CNAPI's first page on its waitlist.

use actix_web::http::StatusCode;
use serde::Deserialize;

use super::page::Page;
use super::view::DraftView;
use super::{error, find, known_owner, owner, params};
use crate::api::waitlist::body;
use crate::api::waitlist::write_end;
use crate::api::{Call, HandlerResult, Reply};
use crate::auth::policy;
use crate::waitlist::{self, ACTIVE, ExpectedQueue, NewTicket, QUEUED, QueueFilter, Term, TicketFilter};
use crate::wire::names::canonical_uuid;
use crate::wire::query::Query;
use crate::wire::{ApiError, schema, times};

/// The fields of a new ticket. The page has two names for two of them.
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
        let settings = &call.app.settings.waitlist;
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

/// `GET /servers/{server}/waitlist`
pub async fn list(call: Call) -> HandlerResult {
    let owner = owner(&call)?;
    let page = Page::of(&params::in_query(&call)?);
    let page = page.map_err(|wrong| ApiError::bad_request(wrong.to_string()))?;
    let query = call.checked_query(&schema::CNAPI_DRAFT_QUERY)?;
    let text = |name| query.last(name).map(str::to_owned);
    let queues =
        QueueFilter { owner: Some(owner), scope: text("scope"), resource_id: text("id").or(text("uid")) };
    let filter = TicketFilter { queues, statuses: vec![QUEUED, ACTIVE], after: None, limit: page.limit };
    let work = move |conn: &mut _| waitlist::list_by_creation(conn, &filter, page.offset);
    let tickets = call.app.db.read_snapshot(work).await.map_err(error::refused)?;
    let shown: Vec<DraftView<'_>> = tickets.iter().map(DraftView::new).collect();
    Ok(Reply::json(StatusCode::OK, &shown))
}

/// `POST /servers/{server}/waitlist`
pub async fn create(call: Call) -> HandlerResult {
    let owner = known_owner(&call).await?;
    let asked = params::merged_with(&call, &without_continuations(&call.body))?;
    let body: CreateBody = params::read(asked, &schema::CNAPI_DRAFT_POST)?;
    let new = body.into_new(&call, owner)?;
    let app = call.app.clone();
    let work = move |tx: &mut _| waitlist::join(tx, &new, app.waitlist.now(), app.waitlist.settings());
    let (ticket, _) = call.write("take a ticket", work).await?.map_err(error::refused)?;
    Ok(Reply::json(StatusCode::OK, &serde_json::json!({ "ticket_uuid": ticket.uuid })))
}

/// A body without backslashes at the ends of lines, as the page's example has them between quotes of
/// the shell. No JSON has any.
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

/// `GET /servers/{server}/waitlist/{ticket}`, which may be followed by `?wait=true`, or by `&wait=true`
/// as the page has it.
pub async fn show(call: Call) -> HandlerResult {
    let owner = owner(&call)?;
    let (uuid, more) = named(&call);
    let more = Query::parse_form(&more).map_err(|error| ApiError::bad_request(error.to_string()))?;
    schema::loaded(&schema::CNAPI_DRAFT_TICKET_QUERY)?.check_query(&more)?;
    let query = call.checked_query(&schema::CNAPI_DRAFT_TICKET_QUERY)?;
    let waits = [query, &more].iter().any(|query| query.last("wait") == Some("true"));
    let mut ticket = find(&call, policy::WAITLIST_SHOW, uuid, Some(owner)).await?;
    if waits {
        let timeout = std::time::Duration::from_secs(call.app.settings.waitlist.max_wait_seconds);
        let wait = call.app.waitlist.wait(&call.app.db, &ticket.uuid, timeout);
        ticket = Box::pin(wait).await.map_err(error::refused)?;
    }
    Ok(Reply::json(StatusCode::OK, &DraftView::new(&ticket)))
}

/// The ticket that the path names, and what follows it there.
fn named(call: &Call) -> (String, String) {
    let named = call.param("ticket");
    let (uuid, more) = named.split_once('&').unwrap_or((named, ""));
    (canonical_uuid(uuid).unwrap_or_else(|| uuid.to_owned()), more.to_owned())
}

/// `DELETE /servers/{server}/waitlist/{ticket}`
pub async fn delete(call: Call) -> HandlerResult {
    let owner = owner(&call)?;
    let (uuid, _) = named(&call);
    let uuid = find(&call, policy::WAITLIST_DELETE, uuid, Some(owner)).await?.uuid;
    let app = call.app.clone();
    let work = move |tx: &mut _| waitlist::remove(tx, &uuid, app.waitlist.now());
    write_end(&call, "delete a ticket", work).await?.map_err(error::refused)?;
    Ok(Reply::empty(StatusCode::ACCEPTED))
}

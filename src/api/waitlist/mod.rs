//! The routes and handlers of the waitlist. A ticket is a place in a queue. `/resource_providers/{uuid}/waitlist`
//! has the tickets of a provider, and `/waitlist` has groups of tickets.

pub mod body;
mod view;

use actix_web::http::StatusCode;

use crate::api::fence::Fenced;
use crate::api::operation::{SHOWN, Shapes, empty, json, operation};
use crate::api::resources::resource_providers;
use crate::api::route::{Route, answer};
use crate::api::waitlist::body::{
    CreateBody, GroupBody, RenewBody, WAITLIST_DELETE_QUERY, WAITLIST_GROUP_POST, WAITLIST_POST,
    WAITLIST_PUT, WAITLIST_QUERY, WAITLIST_TICKET_QUERY,
};
use crate::api::{Call, HandlerResult, Reply, permission, route};
use crate::auth::policy;
use crate::auth::policy::Target;
use crate::commit::{Plain, Tx};
use crate::waitlist;
use crate::waitlist::{Error, Group, QueueFilter, Status, Ticket, TicketFilter};
use crate::wire::microversion::V1_0;
use crate::wire::schema::Versions;
use crate::wire::{ApiError, Code};
use view::{GroupView, ListView, TicketView, newest};

const PROVIDER_WAITLIST: &str = "/resource_providers/{uuid}/waitlist";
const TICKET: &str = "/resource_providers/{uuid}/waitlist/{ticket}";
const WAITLIST: &str = "/waitlist";
const GROUP: &str = "/waitlist/{group}";
const TURNS: &str = "Waitlist";
const TICKET_SHAPES: Shapes = &[(V1_0, "waitlist_ticket_1_0")];
const TICKET_LIST: Shapes = &[(V1_0, "waitlist_list_1_0")];
const GROUP_SHAPES: Shapes = &[(V1_0, "waitlist_group_1_0")];

/// The routes of tickets and of groups of tickets.
pub(crate) static ROUTES: &[Route] = &[
    route::get(PROVIDER_WAITLIST, policy::WAITLIST_LIST, answer!(list)).described(
        operation(TURNS, "List the tickets of a resource provider")
            .query(Versions::only(V1_0, &WAITLIST_QUERY))
            .answers(&[json(
                200,
                "All tickets that fulfil every filter, by queue, and their queues.",
                TICKET_LIST,
            )])
            .codes(&[(400, &[Code::TicketNotFound])]),
    ),
    route::post(PROVIDER_WAITLIST, policy::WAITLIST_CREATE, answer!(create)).described(
        operation(TURNS, "Take a ticket")
            .body(Versions::only(V1_0, &WAITLIST_POST))
            .answers(&[json(
                201,
                "It was taken: it is active already if nobody was before it.",
                TICKET_SHAPES,
            )
            .located()])
            .codes(&[(409, &[Code::Undefined])]),
    ),
    route::get(TICKET, policy::WAITLIST_SHOW, answer!(show)).described(
        operation(TURNS, "Show a ticket, or wait until it is no longer queued")
            .query(Versions::only(V1_0, &WAITLIST_TICKET_QUERY))
            .answers(&[json(200, SHOWN, TICKET_SHAPES)])
            .codes(&[(404, &[Code::TicketNotFound])]),
    ),
    route::put(TICKET, policy::WAITLIST_UPDATE, answer!(renew)).described(
        operation(TURNS, "Renew a ticket")
            .body(Versions::only(V1_0, &WAITLIST_PUT))
            .answers(&[json(200, "As it is now.", TICKET_SHAPES)])
            .codes(&[(404, &[Code::TicketNotFound]), (409, &[Code::TicketEnded])]),
    ),
    route::delete(TICKET, policy::WAITLIST_DELETE, answer!(delete)).described(
        operation(TURNS, "Release a ticket, or give it up while it waits")
            .query(Versions::only(V1_0, &WAITLIST_DELETE_QUERY))
            .answers(&[empty(204, "It has ended, now or before; the next one is active.")])
            .codes(&[(404, &[Code::TicketNotFound])]),
    ),
    route::get(WAITLIST, policy::WAITLIST_LIST, answer!(list_all)).described(
        operation(TURNS, "List tickets")
            .query(Versions::only(V1_0, &WAITLIST_QUERY))
            .answers(&[json(
                200,
                "All tickets that fulfil every filter, by queue, and their queues.",
                TICKET_LIST,
            )])
            .codes(&[(400, &[Code::TicketNotFound])]),
    ),
    route::post(WAITLIST, policy::WAITLIST_CREATE, answer!(create_group)).described(
        operation(TURNS, "Take several tickets, or none")
            .body(Versions::only(V1_0, &WAITLIST_GROUP_POST))
            .answers(&[json(201, "All were taken.", GROUP_SHAPES).located()])
            .codes(&[(400, &[Code::ProviderNotFound]), (409, &[Code::Undefined])]),
    ),
    route::get(GROUP, policy::WAITLIST_SHOW, answer!(show_group)).described(
        operation(TURNS, "Show several tickets, or wait until all are active")
            .query(Versions::only(V1_0, &WAITLIST_TICKET_QUERY))
            .answers(&[json(200, SHOWN, GROUP_SHAPES)])
            .codes(&[(404, &[Code::TicketNotFound])]),
    ),
    route::put(GROUP, policy::WAITLIST_UPDATE, answer!(renew_group)).described(
        operation(TURNS, "Renew several tickets")
            .body(Versions::only(V1_0, &WAITLIST_PUT))
            .answers(&[json(200, "As they are now.", GROUP_SHAPES)])
            .codes(&[(404, &[Code::TicketNotFound]), (409, &[Code::TicketEnded])]),
    ),
    route::delete(GROUP, policy::WAITLIST_DELETE, answer!(delete_group)).described(
        operation(TURNS, "Release several tickets")
            .query(Versions::only(V1_0, &WAITLIST_DELETE_QUERY))
            .answers(&[empty(204, "All have ended, now or before.")])
            .codes(&[(404, &[Code::TicketNotFound])]),
    ),
];

fn path(ticket: &Ticket) -> String {
    format!("{}/waitlist/{}", resource_providers::path(&ticket.owner), ticket.uuid)
}

fn shown(call: &Call, status: StatusCode, ticket: &Ticket, ahead: Option<i64>) -> Reply {
    Reply::json(status, &TicketView::new(ticket, ahead)).cacheable(call.version, Some(ticket.updated_at))
}

fn shown_group(call: &Call, status: StatusCode, group: &Group) -> Reply {
    Reply::json(status, &GroupView::new(group)).cacheable(call.version, newest(&group.tickets))
}

/// Handles `GET /resource_providers/{uuid}/waitlist`, which lists the tickets of a provider.
pub async fn list(call: Call) -> HandlerResult {
    let owner = body::owner(&call);
    list_of(call, Some(owner)).await
}

/// Handles `GET /waitlist`, which lists the tickets of all providers.
pub async fn list_all(call: Call) -> HandlerResult {
    list_of(call, None).await
}

async fn list_of(call: Call, owner: Option<String>) -> HandlerResult {
    let query = call.checked_query(&WAITLIST_QUERY)?;
    let text = |name| query.last(name).map(str::to_owned);
    let most = i64::from(call.app.waitlist.settings().list_tickets);
    let limit = query.last("limit").and_then(|text| text.parse().ok()).map_or(most, |own: i64| own.min(most));
    let queues = QueueFilter { owner, scope: text("scope"), resource_id: text("id") };
    let statuses = statuses(query.last("status"));
    let marker = text("marker");
    let filter = TicketFilter { queues, statuses, after: None, limit };
    let work = move |conn: &mut _| {
        let after = match &marker {
            None => None,
            Some(uuid) => waitlist::find(conn, uuid).map(|last| Some((last.queue_id, last.position)))?,
        };
        waitlist::list(conn, &TicketFilter { after, ..filter.clone() })
    };
    let listing = call.app.db.read_snapshot(work).await.map_err(|error| match error {
        Error::TicketNotFound(_) => ApiError::bad_request(format!("Invalid marker: {error}")),
        error => error.into(),
    })?;
    let time = newest(&listing.tickets);
    Ok(Reply::json(StatusCode::OK, &ListView::new(&listing)).cacheable(call.version, time))
}

/// Returns the statuses that the parameter `status` selects. The list is empty for `all`, and then tickets of all
/// statuses are listed.
fn statuses(filter: Option<&str>) -> Vec<Status> {
    match filter {
        None | Some("live") => Status::LIVE.to_vec(),
        Some(named) => Status::of_word(named).into_iter().collect(),
    }
}

/// Handles `POST /resource_providers/{uuid}/waitlist`, which creates a ticket.
pub async fn create(call: Call) -> HandlerResult {
    let body: CreateBody = call.provider_json(&WAITLIST_POST).await?;
    let new = body.into_new(&call)?;
    let app = call.app.clone();
    let work = move |tx: &mut _| waitlist::join(tx, &new, app.waitlist.now(), app.waitlist.settings());
    let (ticket, ahead) = call.write(Plain::new("take a ticket", work)).await?;
    Ok(shown(&call, StatusCode::CREATED, &ticket, Some(ahead)).location(path(&ticket)))
}

/// Handles `GET /resource_providers/{uuid}/waitlist/{ticket}`, which shows a ticket, or waits until the ticket is no
/// longer queued.
pub async fn show(call: Call) -> HandlerResult {
    let patience = body::patience(&call)?;
    let mut ticket = find(&call, policy::WAITLIST_SHOW).await?;
    if let Some(timeout) = patience {
        let wait = call.app.waitlist.wait(&call.app.db, &ticket.uuid, timeout);
        // The wait is boxed to save memory. Each of the surrounding futures would reserve memory for an unboxed
        // wait twice.
        ticket = Box::pin(wait).await?;
    }
    // This future is boxed, so that its memory is allocated only after the wait. So a request that waits needs
    // less memory.
    let ahead = Box::pin(ahead(&call, &ticket)).await?;
    Ok(shown(&call, StatusCode::OK, &ticket, Some(ahead)))
}

/// Returns the number of tickets before a ticket in its queue. Queries the database only for a queued ticket.
async fn ahead(call: &Call, ticket: &Ticket) -> Result<i64, ApiError> {
    if ticket.status != Status::Queued {
        return Ok(0);
    }
    let ticket = ticket.clone();
    Ok(call.app.db.read(move |conn| waitlist::ahead(conn, &ticket)).await?)
}

/// Handles `PUT /resource_providers/{uuid}/waitlist/{ticket}`, which renews a ticket.
pub async fn renew(call: Call) -> HandlerResult {
    let uuid = find(&call, policy::WAITLIST_UPDATE).await?.uuid;
    let body: RenewBody = call.json(&WAITLIST_PUT)?;
    let given = body.generation;
    let renewal = body.renewal(&call)?;
    let app = call.app.clone();
    let work = move |tx: &mut _| waitlist::renew(tx, &uuid, Some(given), &renewal, app.waitlist.now());
    let ticket = call.write(Plain::new("renew a ticket", work)).await?;
    let ahead = ahead(&call, &ticket).await?;
    Ok(shown(&call, StatusCode::OK, &ticket, Some(ahead)))
}

/// Handles `DELETE /resource_providers/{uuid}/waitlist/{ticket}`, which releases a ticket.
pub async fn delete(call: Call) -> HandlerResult {
    let given = body::stated_generation(&call)?;
    let uuid = find(&call, policy::WAITLIST_DELETE).await?.uuid;
    let app = call.app.clone();
    let work = move |tx: &mut _| waitlist::end(tx, &uuid, given, app.waitlist.now());
    write_end(&call, "release a ticket", work).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Runs `work`, which ends tickets, in a transaction. If the queue has too many overdue tickets for one
/// transaction, first ends the overdue tickets in separate transactions, and then runs `work` again.
pub(crate) async fn write_end<T: Send + 'static>(
    call: &Call,
    name: &'static str,
    work: impl Fn(&mut Tx) -> waitlist::Result<T> + Clone + Send + 'static,
) -> Result<T, Fenced<Error>> {
    loop {
        match call.write(Plain::new(name, work.clone())).await {
            Err(Fenced::Work(Error::Crowded(queue_id))) => {
                call.app.waitlist.clear(&call.app.db, queue_id).await.map_err(Fenced::Work)?;
            }
            ended => return ended,
        }
    }
}

/// Returns the ticket in the path. Returns a 403 if the policy `rule` forbids the client to access the ticket.
async fn find(call: &Call, rule: &str) -> Result<Ticket, ApiError> {
    let (owner, uuid) = (body::owner(call), call.param("ticket").to_owned());
    let found = call.app.db.read(move |conn| waitlist::find_of(conn, &owner, &uuid)).await?;
    check(call, rule, &found)?;
    Ok(found)
}

/// Checks a policy rule with the project and the user of a ticket. So a policy can restrict a client to the tickets
/// of the client's own project. The module `edge` has checked the same rule before, but only with the project and the
/// user of the client, because the ticket was not yet read.
pub(crate) fn check(call: &Call, rule: &str, ticket: &Ticket) -> Result<(), ApiError> {
    let target = Target::default()
        .with("project_id", ticket.project_id.as_deref())
        .with("user_id", ticket.user_id.as_deref());
    permission::check(&call.app, rule, &call.identity, &target, &call.request_id)
}

/// Handles `POST /waitlist`, which creates a group of tickets.
pub async fn create_group(call: Call) -> HandlerResult {
    let body: GroupBody = call.json(&WAITLIST_GROUP_POST)?;
    let new = body.into_new(&call)?;
    let app = call.app.clone();
    let work =
        move |tx: &mut _| waitlist::join_together(tx, &new, app.waitlist.now(), app.waitlist.settings());
    let group =
        call.write(Plain::new("take tickets", work)).await.map_err(Fenced::told(|error| match error {
            Error::OwnerNotFound(_) => {
                ApiError::from(error).not_found_is_bad().with_code(Code::ProviderNotFound)
            }
            error => error.into(),
        }))?;
    Ok(shown_group(&call, StatusCode::CREATED, &group).location(format!("/waitlist/{}", group.uuid)))
}

/// Handles `GET /waitlist/{group}`, which shows a group or waits until all its tickets are active.
pub async fn show_group(call: Call) -> HandlerResult {
    let patience = body::patience(&call)?;
    let mut group = find_group(&call, policy::WAITLIST_SHOW).await?;
    if let Some(timeout) = patience {
        let wait = call.app.waitlist.wait_for_group(&call.app.db, &group.uuid, timeout);
        group = Box::pin(wait).await?;
    }
    Ok(shown_group(&call, StatusCode::OK, &group))
}

/// Handles `PUT /waitlist/{group}`, which renews the tickets of a group.
pub async fn renew_group(call: Call) -> HandlerResult {
    let uuid = find_group(&call, policy::WAITLIST_UPDATE).await?.uuid;
    let body: RenewBody = call.json(&WAITLIST_PUT)?;
    let given = body.generation;
    let renewal = body.renewal(&call)?;
    let app = call.app.clone();
    let work = move |tx: &mut _| waitlist::renew_group(tx, &uuid, Some(given), &renewal, app.waitlist.now());
    let group = call.write(Plain::new("renew tickets", work)).await?;
    Ok(shown_group(&call, StatusCode::OK, &group))
}

/// Handles `DELETE /waitlist/{group}`, which releases the tickets of a group.
pub async fn delete_group(call: Call) -> HandlerResult {
    let given = body::stated_generation(&call)?;
    let uuid = find_group(&call, policy::WAITLIST_DELETE).await?.uuid;
    let app = call.app.clone();
    let work = move |tx: &mut _| waitlist::end_group(tx, &uuid, given, app.waitlist.now());
    write_end(&call, "release tickets", work).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Returns the group in the path. Returns a 403 if the policy `rule` forbids the client to access one of the
/// group's tickets.
async fn find_group(call: &Call, rule: &str) -> Result<Group, ApiError> {
    let uuid = call.param("group").to_owned();
    let group = call.app.db.read_snapshot(move |conn| waitlist::find_group(conn, &uuid)).await?;
    group.tickets.iter().try_for_each(|ticket| check(call, rule, ticket))?;
    Ok(group)
}

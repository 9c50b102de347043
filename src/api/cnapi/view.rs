//! Tickets in responses in the dialects of CNAPI, Triton's API.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::waitlist::Ticket;
use crate::wire::times;

/// A ticket in the form of deployed versions of CNAPI.
#[derive(Debug, Serialize)]
pub(crate) struct TicketView<'a> {
    uuid: &'a str,
    server_uuid: &'a str,
    scope: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    created_at: String,
    updated_at: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    extra: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reqid: Option<&'a str>,
}

impl<'a> TicketView<'a> {
    pub(crate) fn new(ticket: &'a Ticket) -> Self {
        let extra = ticket.extra.clone().unwrap_or_else(|| "{}".to_owned());
        TicketView {
            uuid: &ticket.uuid,
            server_uuid: &ticket.owner,
            scope: &ticket.scope,
            id: &ticket.resource_id,
            expires_at: end(ticket),
            created_at: times::show_millis(ticket.created_at),
            updated_at: times::show_millis(ticket.updated_at),
            status: ticket.status.as_str(),
            action: ticket.action.as_deref(),
            extra: RawValue::from_string(extra).ok(),
            reqid: ticket.request_id.as_deref(),
        }
    }
}

/// The response to the creation of a ticket: the new uuid, and the queued and active tickets of the queue.
#[derive(Debug, Serialize)]
pub(crate) struct CreatedView<'a> {
    uuid: &'a str,
    queue: Vec<TicketView<'a>>,
}

impl<'a> CreatedView<'a> {
    pub(crate) fn new(ticket: &'a Ticket, queue: &'a [Ticket]) -> Self {
        CreatedView { uuid: &ticket.uuid, queue: queue.iter().map(TicketView::new).collect() }
    }
}

/// A ticket in the form of the first draft of CNAPI.
#[derive(Debug, Serialize)]
pub(crate) struct DraftView<'a> {
    ticket_uuid: &'a str,
    created_at: String,
    server_uuid: &'a str,
    scope: &'a str,
    id: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    updated_at: String,
}

impl<'a> DraftView<'a> {
    pub(crate) fn new(ticket: &'a Ticket) -> Self {
        DraftView {
            ticket_uuid: &ticket.uuid,
            created_at: times::show_millis(ticket.created_at),
            server_uuid: &ticket.owner,
            scope: &ticket.scope,
            id: &ticket.resource_id,
            status: ticket.status.as_str(),
            expires_at: end(ticket),
            updated_at: times::show_millis(ticket.updated_at),
        }
    }
}

/// Returns the time at which a ticket expires, in the client's own spelling if the client stated the time. Returns
/// None for a ticket that never expires, and for a ticket whose lease starts only when the ticket becomes active.
fn end(ticket: &Ticket) -> Option<String> {
    ticket.expires_text.clone().or_else(|| ticket.expires_at.map(times::show_millis))
}

//! Tickets, queues and groups as JSON for responses.

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::waitlist::{Group, Listing, Queue, Ticket};
use crate::wire::times;

/// A ticket in a response.
#[derive(Debug, Serialize)]
pub struct TicketView<'a> {
    uuid: &'a str,
    resource_provider_uuid: &'a str,
    scope: &'a str,
    id: &'a str,
    position: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<i64>,
    status: &'static str,
    generation: i64,
    fence: Option<i64>,
    group: Option<&'a str>,
    action: Option<&'a str>,
    extra: Option<Box<RawValue>>,
    project_id: Option<&'a str>,
    user_id: Option<&'a str>,
    request_id: Option<&'a str>,
    expires_at: Option<String>,
    lease_seconds: Option<i32>,
    created_at: String,
    updated_at: String,
    activated_at: Option<String>,
}

impl<'a> TicketView<'a> {
    /// Returns the view of a ticket. `ahead` is the number of tickets before this ticket in its queue. If `ahead` is
    /// None, the response leaves the number out.
    pub fn new(ticket: &'a Ticket, ahead: Option<i64>) -> Self {
        TicketView {
            uuid: &ticket.uuid,
            resource_provider_uuid: &ticket.owner,
            scope: &ticket.scope,
            id: &ticket.resource_id,
            position: ticket.position,
            ahead,
            status: ticket.status.as_str(),
            generation: ticket.generation,
            fence: ticket.fence,
            group: ticket.group_uuid.as_deref(),
            action: ticket.action.as_deref(),
            extra: ticket.extra.clone().and_then(|text| RawValue::from_string(text).ok()),
            project_id: ticket.project_id.as_deref(),
            user_id: ticket.user_id.as_deref(),
            request_id: ticket.request_id.as_deref(),
            expires_at: ticket.expires_at.map(times::show),
            lease_seconds: ticket.lease_seconds,
            created_at: times::show(ticket.created_at),
            updated_at: times::show(ticket.updated_at),
            activated_at: ticket.activated_at.map(times::show),
        }
    }
}

#[derive(Debug, Serialize)]
struct QueueView<'a> {
    resource_provider_uuid: &'a str,
    scope: &'a str,
    id: &'a str,
    generation: i64,
    active: Option<&'a str>,
    queued: i32,
}

/// A list of tickets and their queues in a response.
#[derive(Debug, Serialize)]
pub struct ListView<'a> {
    queues: Vec<QueueView<'a>>,
    tickets: Vec<TicketView<'a>>,
}

impl<'a> ListView<'a> {
    /// Returns the view of a list.
    pub fn new(listing: &'a Listing) -> Self {
        let queue = |(queue, active): &'a (Queue, Option<String>)| QueueView {
            resource_provider_uuid: &queue.owner,
            scope: &queue.scope,
            id: &queue.resource_id,
            generation: queue.generation,
            active: active.as_deref(),
            // `live` counts the queued tickets and the active ticket.
            queued: queue.live - i32::from(active.is_some()),
        };
        ListView {
            queues: listing.queues.iter().map(queue).collect(),
            tickets: listing.tickets.iter().map(|ticket| TicketView::new(ticket, None)).collect(),
        }
    }
}

/// A group of tickets in a response.
#[derive(Debug, Serialize)]
pub struct GroupView<'a> {
    uuid: &'a str,
    status: &'static str,
    generation: i64,
    tickets: Vec<TicketView<'a>>,
}

impl<'a> GroupView<'a> {
    /// Returns the view of a group.
    pub fn new(group: &'a Group) -> Self {
        GroupView {
            uuid: &group.uuid,
            status: group.status().as_str(),
            generation: group.generation,
            tickets: group.tickets.iter().map(|ticket| TicketView::new(ticket, None)).collect(),
        }
    }
}

/// Returns the time of the latest change among several tickets. Returns None for an empty list.
pub fn newest(tickets: &[Ticket]) -> Option<NaiveDateTime> {
    tickets.iter().map(|ticket| ticket.updated_at).max()
}

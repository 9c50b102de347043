//! Tickets, queues and groups as answers show them.

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::waitlist::{Group, Listing, Queue, Ticket};
use crate::wire::times;

/// A ticket.
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
    /// Shows a ticket, and the number of tickets before it if that is known.
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

/// A list of tickets and their queues.
#[derive(Debug, Serialize)]
pub struct ListView<'a> {
    queues: Vec<QueueView<'a>>,
    tickets: Vec<TicketView<'a>>,
}

impl<'a> ListView<'a> {
    /// Shows a list.
    pub fn new(listing: &'a Listing) -> Self {
        let queue = |(queue, active): &'a (Queue, Option<String>)| QueueView {
            resource_provider_uuid: &queue.owner,
            scope: &queue.scope,
            id: &queue.resource_id,
            generation: queue.generation,
            active: active.as_deref(),
            // The active ticket is live too, and is not queued.
            queued: queue.live - i32::from(active.is_some()),
        };
        ListView {
            queues: listing.queues.iter().map(queue).collect(),
            tickets: listing.tickets.iter().map(|ticket| TicketView::new(ticket, None)).collect(),
        }
    }
}

/// A group of tickets.
#[derive(Debug, Serialize)]
pub struct GroupView<'a> {
    uuid: &'a str,
    status: &'static str,
    generation: i64,
    tickets: Vec<TicketView<'a>>,
}

impl<'a> GroupView<'a> {
    /// Shows a group.
    pub fn new(group: &'a Group) -> Self {
        GroupView {
            uuid: &group.uuid,
            status: group.status().as_str(),
            generation: group.generation,
            tickets: group.tickets.iter().map(|ticket| TicketView::new(ticket, None)).collect(),
        }
    }
}

/// The time of the newest change to one of several tickets.
pub fn newest(tickets: &[Ticket]) -> Option<NaiveDateTime> {
    tickets.iter().map(|ticket| ticket.updated_at).max()
}

//! The bodies and query strings of waitlist requests, and the limits on their values.

use std::time::Duration;

use chrono::NaiveDateTime;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::api::Call;
use crate::api::schemas::schemas;
use crate::waitlist::{ExpectedQueue, NewTicket, Renewal, Term, WaitlistSettings};
use crate::wire::json::{Integer, integer, optional_integer};
use crate::wire::uuids::canonical_uuid;
use crate::wire::{ApiError, times};

schemas! {
    body pub(crate) WAITLIST_GROUP_POST = "waitlist_group_post_1_0";
    body pub(crate) WAITLIST_POST = "waitlist_post_1_0";
    body pub(crate) WAITLIST_PUT = "waitlist_put_1_0";
    query pub(crate) WAITLIST_DELETE_QUERY = "waitlist_delete_query_1_0";
    query pub(crate) WAITLIST_QUERY = "waitlist_query_1_0";
    query pub(crate) WAITLIST_TICKET_QUERY = "waitlist_ticket_query_1_0";
}

/// The body of `POST /resource_providers/{uuid}/waitlist`.
#[derive(Deserialize)]
pub(crate) struct CreateBody {
    #[serde(flatten)]
    ticket: TicketBody,
    #[serde(flatten)]
    term: TermBody,
}

/// The part of a body that describes one ticket.
#[derive(Deserialize)]
struct TicketBody {
    scope: String,
    id: String,
    action: Option<String>,
    extra: Option<Map<String, Value>>,
    /// The state of the queue that the client expects. With null, the queue must have never been used. With a
    /// number, the queue must have this generation (counter of changes). If this member is absent, the queue may
    /// have any state.
    #[serde(default, deserialize_with = "expected")]
    queue_generation: Option<ExpectedQueue>,
}

/// The part of a body that states when tickets expire.
#[derive(Deserialize)]
pub(crate) struct TermBody {
    expires_at: Option<String>,
    #[serde(default, deserialize_with = "optional_integer")]
    lease_seconds: Option<i64>,
    /// True if the lease (the time until the ticket expires) also runs while the ticket is queued. Only requests
    /// that create tickets may have this member.
    #[serde(default)]
    lease_while_queued: bool,
}

/// The body of `POST /waitlist`, which creates a group of tickets.
#[derive(Deserialize)]
pub(crate) struct GroupBody {
    tickets: Vec<MemberBody>,
    action: Option<String>,
    extra: Option<Map<String, Value>>,
    #[serde(flatten)]
    term: TermBody,
}

#[derive(Deserialize)]
struct MemberBody {
    resource_provider_uuid: String,
    #[serde(flatten)]
    ticket: TicketBody,
}

/// The body of a PUT, which renews a ticket or a group.
#[derive(Deserialize)]
pub(crate) struct RenewBody {
    #[serde(deserialize_with = "integer")]
    pub(crate) generation: i64,
    #[serde(flatten)]
    term: TermBody,
    /// With null, the stored `extra` is deleted. If this member is absent, the stored `extra` does not change.
    #[serde(default, deserialize_with = "present")]
    extra: Option<Option<Map<String, Value>>>,
}

fn expected<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ExpectedQueue>, D::Error> {
    let given: Option<Integer> = Option::deserialize(deserializer)?;
    Ok(Some(given.map_or(ExpectedQueue::Unused, |Integer(generation)| ExpectedQueue::Generation(generation))))
}

/// Reads a member for which null and absence have different meanings. Returns `Some(None)` for null. For an absent
/// member, serde does not call this function, and the default is None.
fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<Map<String, Value>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl CreateBody {
    /// Returns the ticket to create.
    pub(crate) fn into_new(self, call: &Call) -> Result<NewTicket, ApiError> {
        let term = self.term.required(call)?;
        self.ticket.into_new(call, owner(call), term)
    }
}

/// Returns the provider's uuid in the path. A uuid with capital letters is converted to lower case, since the
/// tables of the waitlist store the uuids of providers in lower case. Any other text is returned unchanged.
pub(crate) fn owner(call: &Call) -> String {
    let given = call.param("uuid");
    canonical_uuid(given).filter(|uuid| uuid.eq_ignore_ascii_case(given)).unwrap_or_else(|| given.to_owned())
}

impl TicketBody {
    fn into_new(self, call: &Call, owner: String, term: Term) -> Result<NewTicket, ApiError> {
        let settings = call.app.waitlist.settings();
        check_name("scope", &self.scope, settings)?;
        check_name("id", &self.id, settings)?;
        check_name("action", self.action.as_deref().unwrap_or_default(), settings)?;
        Ok(NewTicket {
            owner,
            scope: self.scope,
            id: self.id,
            action: self.action,
            extra: self.extra.map(|extra| extra_text(&extra, settings)).transpose()?,
            term,
            expires_text: None,
            project_id: call.identity.project.clone(),
            user_id: Some(call.identity.user.clone()).filter(|user| !user.is_empty()),
            request_id: Some(call.request_id.clone()),
            expected: self.queue_generation.unwrap_or(ExpectedQueue::Anything),
        })
    }
}

impl GroupBody {
    /// Returns the tickets to create. A ticket without its own `action` or `extra` gets the `action` or `extra` of
    /// the group.
    pub(crate) fn into_new(self, call: &Call) -> Result<Vec<NewTicket>, ApiError> {
        let most = call.app.waitlist.settings().group_tickets;
        if self.tickets.len() > most {
            return Err(ApiError::bad_request(format!("A group may have at most {most} tickets.")));
        }
        let term = self.term.required(call)?;
        let (action, extra) = (self.action, self.extra);
        let members = self.tickets.into_iter().map(|mut member| {
            member.ticket.action = member.ticket.action.or_else(|| action.clone());
            member.ticket.extra = member.ticket.extra.or_else(|| extra.clone());
            let given = member.resource_provider_uuid;
            let owner = canonical_uuid(&given).unwrap_or(given);
            member.ticket.into_new(call, owner, term)
        });
        members.collect()
    }
}

impl TermBody {
    fn required(&self, call: &Call) -> Result<Term, ApiError> {
        self.given(call)?.ok_or_else(|| {
            ApiError::bad_request("JSON does not validate: one of expires_at and lease_seconds is required")
        })
    }

    fn given(&self, call: &Call) -> Result<Option<Term>, ApiError> {
        match (&self.expires_at, self.lease_seconds) {
            (_, None) if self.lease_while_queued => Err(ApiError::bad_request(
                "JSON does not validate: lease_while_queued is for tickets with lease_seconds",
            )),
            (None, None) => Ok(None),
            (Some(text), None) => end(text, call.app.waitlist.now()).map(|at| Some(Term::Until(at))),
            (None, Some(seconds)) => {
                let seconds = lease(seconds, call.app.waitlist.settings())?;
                let is_kept = self.lease_while_queued;
                Ok(Some(if is_kept { Term::KeptAlive(seconds) } else { Term::Lease(seconds) }))
            }
            (Some(_), Some(_)) => Err(ApiError::bad_request(
                "JSON does not validate: expires_at and lease_seconds exclude each other",
            )),
        }
    }
}

impl RenewBody {
    /// Returns the renewal of the ticket or group: a new expiry time, a new `extra`, or both.
    pub(crate) fn renewal(self, call: &Call) -> Result<Renewal, ApiError> {
        let settings = call.app.waitlist.settings();
        let term = self.term.given(call)?;
        let extra = match self.extra {
            None => None,
            Some(extra) => Some(extra.map(|extra| extra_text(&extra, settings)).transpose()?),
        };
        Ok(Renewal { term, expires_text: None, extra })
    }
}

fn end(text: &str, now: NaiveDateTime) -> Result<NaiveDateTime, ApiError> {
    let wrong =
        |problem: &str| ApiError::bad_request(format!("JSON does not validate: expires_at {problem}"));
    let at = times::parse(text).ok_or_else(|| wrong("is not a time such as 2026-11-24T10:00:00Z"))?;
    if at <= now { Err(wrong("is in the past")) } else { Ok(at) }
}

fn lease(seconds: i64, settings: &WaitlistSettings) -> Result<i32, ApiError> {
    let most = settings.max_lease_seconds;
    i32::try_from(seconds).ok().filter(|seconds| (1..=most).contains(seconds)).ok_or_else(|| {
        ApiError::bad_request(format!("JSON does not validate: lease_seconds must be from 1 to {most}"))
    })
}

/// Returns a 400 if a text is longer than `waitlist.name_length` characters. `what` is the name of the member in
/// the body.
pub(crate) fn check_name(what: &str, text: &str, settings: &WaitlistSettings) -> Result<(), ApiError> {
    let most = settings.name_length;
    if text.chars().count() <= most {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("JSON does not validate: {what} may have at most {most} characters")))
}

/// Returns the member `extra` of a body as JSON text, which the database stores. Returns a 400 if the text is
/// longer than `waitlist.extra_bytes`.
pub(crate) fn extra_text(extra: &impl Serialize, settings: &WaitlistSettings) -> Result<String, ApiError> {
    let text = serde_json::to_string(extra).map_err(ApiError::internal)?;
    let most = settings.extra_bytes;
    if text.len() <= most {
        return Ok(text);
    }
    Err(ApiError::bad_request(format!("JSON does not validate: extra may have at most {most} bytes")))
}

/// Returns the longest time for which the request waits, at most `waitlist.max_wait_seconds`. Returns None if the
/// request does not wait.
pub(crate) fn patience(call: &Call) -> Result<Option<Duration>, ApiError> {
    let query = call.checked_query(&WAITLIST_TICKET_QUERY)?;
    let most = call.app.waitlist.settings().max_wait_seconds;
    // By the schema, `timeout` has one to nine digits.
    let timeout =
        query.last("timeout").and_then(|text| text.parse().ok()).map_or(most, |own: u64| own.min(most));
    Ok((query.last("wait") == Some("true")).then_some(Duration::from_secs(timeout)))
}

/// Returns the generation in the query string of a DELETE. Returns None if the query string has no generation.
pub(crate) fn stated_generation(call: &Call) -> Result<Option<i64>, ApiError> {
    let query = call.checked_query(&WAITLIST_DELETE_QUERY)?;
    Ok(query.last("generation").and_then(|text| text.parse().ok()))
}

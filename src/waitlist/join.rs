//! Taking tickets.

use chrono::{NaiveDateTime, TimeDelta};
use uuid::Uuid;

use crate::config::WaitlistSettings;
use crate::db::{DbConnection, Tx};
use crate::store::waitlist_queues::{self as queues, Queue};
use crate::store::waitlist_tickets::{self as rows, ACTIVE, QUEUED, Ticket};
use crate::store::{generation, resource_providers};

use super::{DEFAULT_OWNER, Error, Result, group};

/// How long a ticket lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Until it is released.
    Unlimited,
    /// Until a time of day, in UTC, while it waits too.
    Until(NaiveDateTime),
    /// So many seconds from when it becomes active; in a group, from when all are.
    Lease(i32),
    /// A lease as above, which also begins with each sign of life of the client before the turn.
    KeptAlive(i32),
}

impl Term {
    /// The end of its time and the length of its lease, as rows have them. `runs` says whether a
    /// lease runs now.
    pub(super) fn columns(self, now: NaiveDateTime, runs: bool) -> (Option<NaiveDateTime>, Option<i32>) {
        match self {
            Term::Unlimited => (None, None),
            Term::Until(at) => (Some(at), None),
            Term::Lease(seconds) => (runs.then(|| lease_end(now, seconds)), Some(seconds)),
            Term::KeptAlive(seconds) => (Some(lease_end(now, seconds)), Some(seconds)),
        }
    }
}

/// When a lease that starts now ends.
pub(super) fn lease_end(now: NaiveDateTime, seconds: i32) -> NaiveDateTime {
    now.checked_add_signed(TimeDelta::seconds(seconds.into())).unwrap_or(now)
}

/// What a client expects of the queue that it joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Anything,
    /// That it has never been used.
    Unused,
    /// This generation.
    Generation(i64),
}

/// What a ticket is to be made of.
#[derive(Clone, Debug)]
pub struct NewTicket {
    /// The uuid of the resource provider, in canonical form, or [`DEFAULT_OWNER`].
    pub owner: String,
    /// What kind of thing it is for.
    pub scope: String,
    /// Which one of that kind.
    pub id: String,
    /// What its holder is going to do.
    pub action: Option<String>,
    /// What else the client has to say, as JSON.
    pub extra: Option<String>,
    /// How long it lives.
    pub term: Term,
    /// The end of its time as the client spelled it, if that is to be told again.
    pub expires_text: Option<String>,
    /// The project of whoever asks.
    pub project_id: Option<String>,
    /// Whoever asks.
    pub user_id: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// What the queue is expected to be like.
    pub expected: Expected,
}

/// Takes a ticket: at the end of its queue, or active at once if the queue is empty. Returns also how many
/// are before it.
pub fn join(
    tx: &mut Tx,
    new: &NewTicket,
    now: NaiveDateTime,
    settings: &WaitlistSettings,
) -> Result<(Ticket, i64)> {
    let mut taken = take_all(tx, std::slice::from_ref(new), None, now, settings)?;
    // One ticket was asked for.
    taken.pop().ok_or_else(Error::lost_race)
}

/// Takes several tickets, or none: a group. The order in which they are named does not matter.
pub fn join_together(
    tx: &mut Tx,
    new: &[NewTicket],
    now: NaiveDateTime,
    settings: &WaitlistSettings,
) -> Result<group::Group> {
    let uuid = Uuid::new_v4().to_string();
    queues::insert_group(tx, &uuid)?;
    let taken = take_all(tx, new, Some(&uuid), now, settings)?;
    let taken: Vec<Ticket> = taken.into_iter().map(|(ticket, _)| ticket).collect();
    if taken.iter().all(|ticket| ticket.status == ACTIVE) {
        group::start_leases(tx, &taken, now)?;
    }
    group::find_group(tx, &uuid)
}

fn take_all(
    tx: &mut Tx,
    new: &[NewTicket],
    group_uuid: Option<&str>,
    now: NaiveDateTime,
    settings: &WaitlistSettings,
) -> Result<Vec<(Ticket, i64)>> {
    let mut ordered: Vec<&NewTicket> = new.iter().collect();
    ordered.sort_by_key(|ticket| (&ticket.owner, &ticket.scope, &ticket.id));
    for pair in ordered.windows(2) {
        if let [a, b] = pair
            && (&a.owner, &a.scope, &a.id) == (&b.owner, &b.scope, &b.id)
        {
            let (owner, scope, id) = (a.owner.clone(), a.scope.clone(), a.id.clone());
            return Err(Error::Twice { owner, scope, id });
        }
    }
    check_owners(tx, &ordered)?;
    let floors = take_owners_of_new(tx, &ordered)?;
    let mut joined = Vec::with_capacity(ordered.len());
    for ticket in &ordered {
        let floor = floors.iter().find(|(owner, _)| *owner == ticket.owner).map(|(_, floor)| *floor);
        joined.push((*ticket, enter(tx, ticket, floor)?));
    }
    // Whoever deletes a provider takes its queues first: now it is there, or it is gone for good.
    check_owners(tx, &ordered)?;
    let mut uuids = Vec::with_capacity(joined.len());
    for (ticket, queue) in &joined {
        check_limit(ticket, queue, settings)?;
        // All live tickets of a queue are before a newcomer's.
        let ahead = i64::from(queue.live - 1);
        uuids.push((insert(tx, ticket, queue, group_uuid, now)?, ahead));
    }
    let mut taken = Vec::with_capacity(uuids.len());
    for (uuid, ahead) in uuids {
        taken.push((rows::find(tx, &uuid)?.ok_or_else(Error::lost_race)?, ahead));
    }
    Ok(taken)
}

fn check_owners(conn: &mut DbConnection, tickets: &[&NewTicket]) -> Result<()> {
    let mut owners: Vec<&str> = tickets.iter().map(|ticket| ticket.owner.as_str()).collect();
    owners.dedup();
    owners.into_iter().try_for_each(|owner| check_owner(conn, owner))
}

/// Fails unless there is such an owner.
pub fn check_owner(conn: &mut DbConnection, owner: &str) -> Result<()> {
    if owner == DEFAULT_OWNER || resource_providers::find_key(conn, owner)?.is_some() {
        return Ok(());
    }
    Err(Error::OwnerNotFound(owner.to_owned()))
}

/// Takes the owners to whom a queue will be given, in their order and before any queue, and returns
/// what their fences are above.
fn take_owners_of_new(tx: &mut Tx, tickets: &[&NewTicket]) -> Result<Vec<(String, i64)>> {
    let mut taken: Vec<(String, i64)> = Vec::new();
    for ticket in tickets {
        let is_taken = taken.last().is_some_and(|(owner, _)| *owner == ticket.owner);
        if !is_taken && queues::find(tx, &ticket.owner, &ticket.scope, &ticket.id)?.is_none() {
            let floor = queues::take_owner(tx, &ticket.owner)?;
            taken.push((ticket.owner.clone(), floor));
        }
    }
    Ok(taken)
}

/// Takes the queue, one ticket longer and one generation on, if it is as expected.
fn enter(tx: &mut Tx, ticket: &NewTicket, floor: Option<i64>) -> Result<Queue> {
    let found = queues::find(tx, &ticket.owner, &ticket.scope, &ticket.id)?;
    let (id, is_new) = match (found, floor) {
        (Some(queue), _) => (queue.id, false),
        (None, Some(floor)) => (queues::insert(tx, &ticket.owner, &ticket.scope, &ticket.id, floor)?, true),
        // Forgotten a moment ago: the second run takes its owner.
        (None, None) => return Err(Error::lost_race()),
    };
    if !generation::bump_queue(tx, id, 1)? {
        return Err(Error::lost_race());
    }
    let queue = queues::find_by_id(tx, id)?.ok_or_else(Error::lost_race)?;
    let before = queue.generation - 1;
    let is_expected = match ticket.expected {
        Expected::Anything => true,
        Expected::Unused => is_new,
        Expected::Generation(given) => !is_new && given == before,
    };
    if is_expected {
        return Ok(queue);
    }
    Err(Error::QueueGeneration {
        owner: queue.owner,
        scope: queue.scope,
        id: queue.resource_id,
        actual: if is_new { "null".to_owned() } else { before.to_string() },
        given: match ticket.expected {
            Expected::Generation(given) => given.to_string(),
            _ => "null".to_owned(),
        },
    })
}

fn check_limit(ticket: &NewTicket, queue: &Queue, settings: &WaitlistSettings) -> Result<()> {
    let limit = settings.queue_tickets;
    if i64::from(queue.live) <= i64::from(limit) {
        return Ok(());
    }
    let (owner, scope, id) = (ticket.owner.clone(), ticket.scope.clone(), ticket.id.clone());
    Err(Error::QueueFull { owner, scope, id, limit })
}

/// Inserts the ticket and returns its uuid.
fn insert(
    tx: &mut Tx,
    new: &NewTicket,
    queue: &Queue,
    group_uuid: Option<&str>,
    now: NaiveDateTime,
) -> Result<String> {
    let uuid = Uuid::new_v4().to_string();
    let is_active = queue.live == 1;
    let (expires_at, lease_seconds) = new.term.columns(now, is_active && group_uuid.is_none());
    rows::insert(
        tx,
        &rows::NewTicket {
            queue_id: queue.id,
            position: queue.generation,
            uuid: &uuid,
            status: if is_active { ACTIVE } else { QUEUED },
            holds: is_active.then_some(queue.id),
            generation: 1,
            fence: is_active.then_some(queue.generation),
            fenced_writes: 0,
            group_uuid,
            action: new.action.as_deref(),
            extra: new.extra.as_deref(),
            project_id: new.project_id.as_deref(),
            user_id: new.user_id.as_deref(),
            request_id: new.request_id.as_deref(),
            expires_at: expires_at.map(rows::micros),
            expires_text: new.expires_text.as_deref(),
            lease_seconds,
            created_at: now,
            updated_at: now,
            activated_at: is_active.then_some(now),
        },
    )?;
    Ok(uuid)
}

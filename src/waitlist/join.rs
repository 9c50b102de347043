//! The creation of tickets. A new ticket goes to the end of its queue.

use chrono::NaiveDateTime;
use uuid::Uuid;

use crate::commit::Tx;
use crate::db::DbConnection;
use crate::store::ticket::{self, Status, Ticket, micros};
use crate::store::waitlist_queues::{self as queues, Queue};
use crate::store::waitlist_tickets as rows;
use crate::store::{generation, resource_providers};

use super::settings::WaitlistSettings;
use super::term::Term;
use super::{Error, Result, group};

/// The owner of queues that belong to no resource provider.
pub const DEFAULT_OWNER: &str = "default";

/// The state of the queue that the client expects before its ticket is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedQueue {
    /// The client expects no particular state.
    Anything,
    /// The client expects that no ticket was ever created in this queue.
    Unused,
    /// The client expects that the queue has this generation.
    Generation(i64),
}

/// A ticket that a client wants to create.
#[derive(Clone, Debug)]
pub struct NewTicket {
    /// The owner of the queue: the uuid of a resource provider in lower case with hyphens, or
    /// [`DEFAULT_OWNER`].
    pub owner: String,
    /// The first part of the queue's name: the kind of the awaited thing, such as `gpu`.
    pub scope: String,
    /// The second part of the queue's name: the awaited thing, such as `gpu-0`.
    pub id: String,
    /// A text of the client that describes the intended action. The server does not interpret the text.
    pub action: Option<String>,
    /// More data of the client, as JSON. The server does not interpret the data.
    pub extra: Option<String>,
    /// The rule by which the ticket expires.
    pub term: Term,
    /// The time of expiry as the client wrote it. Some answers repeat this text.
    pub expires_text: Option<String>,
    /// The project of the user who sent the request.
    pub project_id: Option<String>,
    /// The user who sent the request.
    pub user_id: Option<String>,
    /// The id of the request, which is also in the log and in the answer.
    pub request_id: Option<String>,
    /// The state of the queue that the client expects.
    pub expected: ExpectedQueue,
}

/// Creates a ticket at the end of its queue. If the queue is empty, the ticket is active at once. Returns the
/// ticket, and the number of live tickets before it.
pub fn join(
    tx: &mut Tx,
    new: &NewTicket,
    now: NaiveDateTime,
    settings: &WaitlistSettings,
) -> Result<(Ticket, i64)> {
    let mut created = create_all(tx, std::slice::from_ref(new), None, now, settings)?;
    // The list has one ticket, since one ticket was asked for.
    created.pop().ok_or_else(Error::lost_race)
}

/// Creates a ticket for each entry of `new`, and the group of these tickets. The order of the entries does not matter.
/// If one ticket is refused, no ticket is created.
pub fn join_together(
    tx: &mut Tx,
    new: &[NewTicket],
    now: NaiveDateTime,
    settings: &WaitlistSettings,
) -> Result<group::Group> {
    let uuid = Uuid::new_v4().to_string();
    queues::insert_group(tx, &uuid)?;
    let created = create_all(tx, new, Some(&uuid), now, settings)?;
    let created: Vec<Ticket> = created.into_iter().map(|(ticket, _)| ticket).collect();
    if created.iter().all(|ticket| ticket.status == Status::Active) {
        group::start_leases(tx, &created, now)?;
    }
    group::find_group(tx, &uuid)
}

fn create_all(
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
    let floors = lock_owners_of_new(tx, &ordered)?;
    let mut joined = Vec::with_capacity(ordered.len());
    for ticket in &ordered {
        let floor = floors.iter().find(|(owner, _)| *owner == ticket.owner).map(|(_, floor)| *floor);
        joined.push((*ticket, enter(tx, ticket, floor)?));
    }
    // The deletion of a provider locks the provider's queues first, and this transaction has already locked
    // them. So if the provider still exists now, it exists until this transaction commits.
    check_owners(tx, &ordered)?;
    let mut uuids = Vec::with_capacity(joined.len());
    for (ticket, queue) in &joined {
        check_limit(ticket, queue, settings)?;
        // The new ticket is already counted in `live`. All other live tickets of the queue are older.
        let ahead = i64::from(queue.live - 1);
        uuids.push((insert(tx, ticket, queue, group_uuid, now)?, ahead));
    }
    let mut created = Vec::with_capacity(uuids.len());
    for (uuid, ahead) in uuids {
        created.push((rows::find(tx, &uuid)?.ok_or_else(Error::lost_race)?, ahead));
    }
    Ok(created)
}

fn check_owners(conn: &mut DbConnection, tickets: &[&NewTicket]) -> Result<()> {
    let mut owners: Vec<&str> = tickets.iter().map(|ticket| ticket.owner.as_str()).collect();
    owners.dedup();
    owners.into_iter().try_for_each(|owner| check_owner(conn, owner))
}

/// Fails with [`Error::OwnerNotFound`] if the owner is a provider that does not exist.
pub fn check_owner(conn: &mut DbConnection, owner: &str) -> Result<()> {
    if owner == DEFAULT_OWNER || resource_providers::find_key(conn, owner)?.is_some() {
        return Ok(());
    }
    Err(Error::OwnerNotFound(owner.to_owned()))
}

/// Locks the rows in `waitlist_owners` of the owners for which a ticket needs a new queue. The owners are locked in
/// sorted order, and before any queue. Returns each locked owner with its fence floor (the generation at which a new
/// queue starts).
fn lock_owners_of_new(tx: &mut Tx, tickets: &[&NewTicket]) -> Result<Vec<(String, i64)>> {
    let mut locked: Vec<(String, i64)> = Vec::new();
    for ticket in tickets {
        let is_locked = locked.last().is_some_and(|(owner, _)| *owner == ticket.owner);
        if !is_locked && queues::find(tx, &ticket.owner, &ticket.scope, &ticket.id)?.is_none() {
            let floor = queues::lock_owner(tx, &ticket.owner)?;
            locked.push((ticket.owner.clone(), floor));
        }
    }
    Ok(locked)
}

/// Locks the queue of a new ticket, and creates the queue if necessary. The number of live tickets and the
/// generation grow by one. Fails unless the queue was in the state that the client expects.
fn enter(tx: &mut Tx, ticket: &NewTicket, floor: Option<i64>) -> Result<Queue> {
    let found = queues::find(tx, &ticket.owner, &ticket.scope, &ticket.id)?;
    let (id, is_new) = match (found, floor) {
        (Some(queue), _) => (queue.id, false),
        (None, Some(floor)) => (queues::insert(tx, &ticket.owner, &ticket.scope, &ticket.id, floor)?, true),
        // Another transaction has just deleted the queue. The transaction runs again and creates a new queue.
        (None, None) => return Err(Error::lost_race()),
    };
    if !generation::bump_queue(tx, id, 1)? {
        return Err(Error::lost_race());
    }
    let queue = queues::find_by_id(tx, id)?.ok_or_else(Error::lost_race)?;
    let before = queue.generation - 1;
    let is_expected = match ticket.expected {
        ExpectedQueue::Anything => true,
        ExpectedQueue::Unused => is_new,
        ExpectedQueue::Generation(given) => !is_new && given == before,
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
            ExpectedQueue::Generation(given) => given.to_string(),
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

/// Inserts the row of a new ticket. Returns the ticket's uuid.
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
        &ticket::NewTicket {
            queue_id: queue.id,
            position: queue.generation,
            uuid: &uuid,
            status: if is_active { Status::Active } else { Status::Queued },
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
            expires_at: expires_at.map(micros),
            expires_text: new.expires_text.as_deref(),
            lease_seconds,
            created_at: now,
            updated_at: now,
            activated_at: is_active.then_some(now),
        },
    )?;
    Ok(uuid)
}

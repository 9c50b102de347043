//! The rows of tickets. A ticket is a client's place in a queue of the waitlist.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{FromSql, FromSqlRow, FromStaticSqlRow};
use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::serialize::{Output, ToSql};
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::db::schema::waitlist_tickets as tickets;

/// The status of a ticket. Rows and answers contain the status as a lower-case word, for example `queued`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub enum Status {
    /// The ticket waits in the queue.
    Queued,
    /// The ticket is the first of the queue, and its client may use the resource.
    Active,
    /// The client has released the active ticket, or has given up the queued ticket.
    Finished,
    /// The ticket's expiry has passed.
    Expired,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 4] = [Status::Queued, Status::Active, Status::Finished, Status::Expired];
    /// The statuses of live tickets. A ticket is live until it ends.
    pub const LIVE: [Status; 2] = [Status::Queued, Status::Active];

    /// Returns the word for the status in rows and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Active => "active",
            Status::Finished => "finished",
            Status::Expired => "expired",
        }
    }

    /// Returns the status with this word. Returns None for an unknown word.
    pub fn of_word(word: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<DB> ToSql<Text, DB> for Status
where
    DB: Backend,
    str: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> diesel::serialize::Result {
        self.as_str().to_sql(out)
    }
}

impl<DB> FromSql<Text, DB> for Status
where
    DB: Backend,
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
        let word = String::from_sql(bytes)?;
        Status::of_word(&word).ok_or_else(|| format!("a ticket has the unknown status {word:?}").into())
    }
}

/// A ticket, joined with the names of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct Ticket {
    /// Row id of the queue.
    pub queue_id: i32,
    /// The place in the queue: the queue's generation at the ticket's creation. Smaller positions come first.
    pub position: i64,
    /// The uuid that clients use.
    pub uuid: String,
    /// The owner of the queue: the uuid of a resource provider, or `default` if the resource belongs to no provider.
    pub owner: String,
    /// The scope of the queue: the kind of the resource.
    pub scope: String,
    /// The id of the resource within the scope.
    pub resource_id: String,
    /// The status.
    pub status: Status,
    /// The generation, which each change of the ticket increments.
    pub generation: i64,
    /// The fence: the queue's generation when the ticket became active. None if the ticket was never active.
    pub fence: Option<i64>,
    /// The uuid of the group (tickets that were created together). None if the ticket was created alone.
    pub group_uuid: Option<String>,
    /// The client's purpose, in the client's own words.
    pub action: Option<String>,
    /// Other data of the client, as JSON text.
    pub extra: Option<String>,
    /// Keystone's id of the project of the user who created the ticket.
    pub project_id: Option<String>,
    /// Keystone's id of the user who created the ticket.
    pub user_id: Option<String>,
    /// The id of the request that created the ticket.
    pub request_id: Option<String>,
    /// When the ticket expires. None if the ticket has no expiry, or if its lease has not started.
    #[diesel(deserialize_as = StoredTime)]
    pub expires_at: Option<NaiveDateTime>,
    /// The expiry as the client spelled it, for APIs whose answers repeat that spelling.
    pub expires_text: Option<String>,
    /// The length of the lease in seconds. None if the ticket has no lease.
    pub lease_seconds: Option<i32>,
    /// The time of the creation.
    pub created_at: NaiveDateTime,
    /// The time of the last change.
    pub updated_at: NaiveDateTime,
    /// When the ticket became active. None if the ticket was never active.
    pub activated_at: Option<NaiveDateTime>,
}

/// A time as the row stores it: in microseconds since 1970, or NULL.
#[derive(Clone, Copy, Debug)]
pub struct StoredTime(Option<i64>);

impl<DB> Queryable<Nullable<BigInt>, DB> for StoredTime
where
    DB: Backend,
    Option<i64>: FromStaticSqlRow<Nullable<BigInt>, DB>,
{
    type Row = Option<i64>;

    fn build(row: Self::Row) -> diesel::deserialize::Result<Self> {
        Ok(StoredTime(row))
    }
}

impl From<StoredTime> for Option<NaiveDateTime> {
    fn from(StoredTime(micros): StoredTime) -> Self {
        micros.map(from_micros)
    }
}

pub(super) fn from_micros(micros: i64) -> NaiveDateTime {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::MAX_UTC).naive_utc()
}

/// Converts a time to microseconds since 1970, the unit of the column `expires_at`.
pub fn micros(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp_micros()
}

impl Ticket {
    /// Returns true if the ticket is queued or active.
    pub fn is_live(&self) -> bool {
        Status::LIVE.contains(&self.status)
    }

    /// Returns true if the ticket's expiry is not after `now`.
    pub fn is_overdue(&self, now: NaiveDateTime) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Returns the length in seconds and the end of a queued ticket's lease. Returns None if the ticket is not
    /// queued, or if its lease has not started.
    pub fn queued_lease(&self) -> Option<(i32, NaiveDateTime)> {
        if self.status != Status::Queued {
            return None;
        }
        self.lease_seconds.zip(self.expires_at)
    }
}

/// A ticket that is to be inserted.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = tickets)]
pub struct NewTicket<'a> {
    /// Row id of the queue.
    pub queue_id: i32,
    /// The queue's generation, which is the ticket's place in the queue.
    pub position: i64,
    /// The new uuid.
    pub uuid: &'a str,
    /// Queued or active.
    pub status: Status,
    /// Row id of the queue if the ticket is active. This column is unique, so a queue has at most one active ticket.
    pub holds: Option<i32>,
    /// The generation of a new ticket.
    pub generation: i64,
    /// The queue's generation if the ticket is active.
    pub fence: Option<i64>,
    /// The number of fenced writes (writes that succeed only while the ticket is active).
    pub fenced_writes: i64,
    /// The uuid of the group (tickets that are created together), if there is one.
    pub group_uuid: Option<&'a str>,
    /// The client's purpose, in the client's own words.
    pub action: Option<&'a str>,
    /// Other data of the client, as JSON text.
    pub extra: Option<&'a str>,
    /// Keystone's id of the project of the user who creates the ticket.
    pub project_id: Option<&'a str>,
    /// Keystone's id of the user who creates the ticket.
    pub user_id: Option<&'a str>,
    /// The id of the request that creates the ticket.
    pub request_id: Option<&'a str>,
    /// When the ticket expires, in microseconds since 1970.
    pub expires_at: Option<i64>,
    /// The expiry as the client spelled it.
    pub expires_text: Option<&'a str>,
    /// The length of the lease in seconds.
    pub lease_seconds: Option<i32>,
    /// The time of the creation.
    pub created_at: NaiveDateTime,
    /// The time of the creation.
    pub updated_at: NaiveDateTime,
    /// The time of the creation if the ticket is active.
    pub activated_at: Option<NaiveDateTime>,
}

/// Changes of a ticket. None leaves the column unchanged. `Some(None)` sets the column to NULL.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = tickets)]
pub struct TicketChanges {
    /// The new status.
    pub status: Option<Status>,
    /// Row id of the queue if the ticket becomes active. NULL if the ticket ends.
    pub holds: Option<Option<i32>>,
    /// The generation that the queue has when the ticket becomes active.
    pub fence: Option<Option<i64>>,
    /// Other data of the client, as JSON text.
    pub extra: Option<Option<String>>,
    /// When the ticket expires, in microseconds since 1970.
    pub expires_at: Option<Option<i64>>,
    /// The expiry as the client spelled it.
    pub expires_text: Option<Option<String>>,
    /// The length of the lease in seconds.
    pub lease_seconds: Option<Option<i32>>,
    /// When the ticket becomes active.
    pub activated_at: Option<Option<NaiveDateTime>>,
}

//! A ticket of the waitlist, as rows have it.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{FromSql, FromSqlRow, FromStaticSqlRow};
use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::serialize::{Output, ToSql};
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::db::schema::waitlist_tickets as tickets;

/// The state of a ticket. Rows and answers have it as a lower-case word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub enum Status {
    /// The ticket waits for its turn.
    Queued,
    /// The ticket has the turn.
    Active,
    /// The ticket was released, or given up while it waited.
    Finished,
    /// The ticket's time ran out.
    Expired,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 4] = [Status::Queued, Status::Active, Status::Finished, Status::Expired];
    /// The statuses of live tickets.
    pub const LIVE: [Status; 2] = [Status::Queued, Status::Active];

    /// The word for the status, in rows and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Active => "active",
            Status::Finished => "finished",
            Status::Expired => "expired",
        }
    }

    /// The status of this word.
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

/// A ticket with the names of its queue.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct Ticket {
    /// Row id of its queue.
    pub queue_id: i32,
    /// Its place in the queue's order: the queue's generation when it came.
    pub position: i64,
    /// The uuid under which clients know it.
    pub uuid: String,
    /// The uuid of the resource provider, or the name of an owner that is none.
    pub owner: String,
    /// The scope: the kind of the resource that it is for.
    pub scope: String,
    /// The id of the resource within the scope.
    pub resource_id: String,
    /// Its status.
    pub status: Status,
    /// Its generation: one more with each change.
    pub generation: i64,
    /// The queue's generation when it became active.
    pub fence: Option<i64>,
    /// The group that it was created with.
    pub group_uuid: Option<String>,
    /// The purpose, in the client's words.
    pub action: Option<String>,
    /// Other data of the client, as JSON.
    pub extra: Option<String>,
    /// The project of its creator.
    pub project_id: Option<String>,
    /// Its creator.
    pub user_id: Option<String>,
    /// The id of the request that created it.
    pub request_id: Option<String>,
    /// The time of its expiry; none if its lease does not run yet, or if it has no end.
    #[diesel(deserialize_as = StoredTime)]
    pub expires_at: Option<NaiveDateTime>,
    /// The expiry as the client spelled it, for dialects that show it again.
    pub expires_text: Option<String>,
    /// The length of its lease.
    pub lease_seconds: Option<i32>,
    /// When it was created.
    pub created_at: NaiveDateTime,
    /// When it was last changed.
    pub updated_at: NaiveDateTime,
    /// When it became active.
    pub activated_at: Option<NaiveDateTime>,
}

/// A time as the row has it: in microseconds since 1970, if there is one.
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

/// A time in microseconds since 1970, as rows have the ends of tickets.
pub fn micros(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp_micros()
}

impl Ticket {
    /// Whether it is queued or active.
    pub fn is_live(&self) -> bool {
        Status::LIVE.contains(&self.status)
    }

    /// Whether the ticket's time has run out.
    pub fn is_overdue(&self, now: NaiveDateTime) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// The length and the end of the ticket's lease, if the lease runs while the ticket is queued.
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
    /// Row id of its queue.
    pub queue_id: i32,
    /// The queue's generation.
    pub position: i64,
    /// Its uuid.
    pub uuid: &'a str,
    /// Queued or active.
    pub status: Status,
    /// The queue, if it is active.
    pub holds: Option<i32>,
    /// Its generation.
    pub generation: i64,
    /// The queue's generation, if it is active.
    pub fence: Option<i64>,
    /// How many writes it has fenced.
    pub fenced_writes: i64,
    /// The group that it is created with.
    pub group_uuid: Option<&'a str>,
    /// The purpose.
    pub action: Option<&'a str>,
    /// Other data of the client, as JSON.
    pub extra: Option<&'a str>,
    /// The project of its creator.
    pub project_id: Option<&'a str>,
    /// Its creator.
    pub user_id: Option<&'a str>,
    /// The id of the request that creates it.
    pub request_id: Option<&'a str>,
    /// When its time runs out, in [`micros`].
    pub expires_at: Option<i64>,
    /// The same as the client spelled it.
    pub expires_text: Option<&'a str>,
    /// The length of its lease.
    pub lease_seconds: Option<i32>,
    /// Now.
    pub created_at: NaiveDateTime,
    /// Now.
    pub updated_at: NaiveDateTime,
    /// Now, if it is active.
    pub activated_at: Option<NaiveDateTime>,
}

/// Changes of a ticket; a column with `None` stays.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = tickets)]
pub struct TicketChanges {
    /// Its status.
    pub status: Option<Status>,
    /// The queue that it holds.
    pub holds: Option<Option<i32>>,
    /// The queue's generation at which it became active.
    pub fence: Option<Option<i64>>,
    /// Other data of the client, as JSON.
    pub extra: Option<Option<String>>,
    /// When its time runs out, in [`micros`].
    pub expires_at: Option<Option<i64>>,
    /// The same as the client spelled it.
    pub expires_text: Option<Option<String>>,
    /// The length of its lease.
    pub lease_seconds: Option<Option<i32>>,
    /// When it became active.
    pub activated_at: Option<Option<NaiveDateTime>>,
}

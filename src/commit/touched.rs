//! The rows that a transaction has touched, so that a picture of the database can follow, and waiting
//! requests can be woken.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::time::Instant;

use chrono::NaiveDateTime;

use crate::db::{DbConnection, Error, LONGEST_LIST};

/// How much of a provider a transaction has touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Its generation and what is allocated from it.
    Usage,
    /// Anything else too, its existence included.
    Whole,
}

/// The rows that one or more transactions have touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Providers by row id.
    pub providers: BTreeMap<i32, Part>,
    /// Whether names of resource classes or traits came, went or changed.
    pub names: bool,
    /// Whether it may be anything, of which nothing is known.
    pub everything: bool,
}

impl Touched {
    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty() && !self.names && !self.everything
    }

    /// Whether a follower reads all of it with one question: the usage of not too many providers.
    pub fn is_one_question(&self) -> bool {
        !self.names
            && !self.everything
            && self.providers.len() <= LONGEST_LIST
            && self.providers.values().all(|part| *part == Part::Usage)
    }

    /// Whether no reader can see a half of it: it is at most the usage of a single provider.
    pub(crate) fn is_one_piece(&self) -> bool {
        !self.names
            && !self.everything
            && self.providers.len() <= 1
            && self.providers.values().all(|part| *part == Part::Usage)
    }

    /// Whether there is anything that both touch.
    pub(crate) fn meets(&self, other: &Touched) -> bool {
        let (few, many) = match self.providers.len() < other.providers.len() {
            true => (&self.providers, &other.providers),
            false => (&other.providers, &self.providers),
        };
        self.everything
            || other.everything
            || (self.names && other.names)
            || few.keys().any(|id| many.contains_key(id))
    }

    /// Whether all that the other touches is in this.
    pub(crate) fn holds(&self, other: &Touched) -> bool {
        let holds = |(id, part): (&i32, &Part)| self.providers.get(id).is_some_and(|own| own >= part);
        self.everything
            || !other.everything && (self.names || !other.names) && other.providers.iter().all(holds)
    }

    /// Adds what another transaction has touched.
    pub fn merge(&mut self, other: Touched) {
        for (id, part) in other.providers {
            self.provider(id, part);
        }
        self.names |= other.names;
        self.everything |= other.everything;
    }

    fn provider(&mut self, id: i32, part: Part) {
        let known = self.providers.entry(id).or_insert(part);
        *known = part.max(*known);
    }
}

/// The tickets that one or more transactions have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// Uuids of tickets, and of groups of tickets, whose status has changed.
    pub changed: BTreeSet<String>,
    /// The earliest of the times at which tickets now expire.
    pub earliest_expiry: Option<NaiveDateTime>,
}

impl Turns {
    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.earliest_expiry.is_none()
    }

    /// Adds what another transaction has changed.
    #[cfg(feature = "sqlite")]
    pub(crate) fn merge(&mut self, other: Turns) {
        self.changed.extend(other.changed);
        self.note_expiry(other.earliest_expiry);
    }

    fn note_expiry(&mut self, at: Option<NaiveDateTime>) {
        self.earliest_expiry = [self.earliest_expiry, at].into_iter().flatten().min();
    }
}

/// A connection that can write, and what its open transaction has touched so far.
///
/// Functions that write take this, functions that only read the [`DbConnection`] in it, so that
/// no write can be forgotten here.
pub struct Tx {
    conn: DbConnection,
    touched: Touched,
    turns: Turns,
    made_at: Instant,
    idle_since: Instant,
    is_lost: bool,
}

impl Tx {
    pub(crate) fn new(conn: DbConnection) -> Tx {
        let now = Instant::now();
        let (touched, turns) = Default::default();
        Tx { conn, touched, turns, made_at: now, idle_since: now, is_lost: false }
    }

    /// When the connection was made.
    pub(crate) fn made_at(&self) -> Instant {
        self.made_at
    }

    /// When work was last done on it; when it was made, if none ever was.
    pub(crate) fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// Notes that work on it has ended.
    pub(crate) fn rest(&mut self) {
        self.idle_since = Instant::now();
    }

    /// Notes that the connection is of no more use.
    pub(crate) fn lose(&mut self) {
        self.is_lost = true;
    }

    /// Whether the connection is of no more use.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// The connection itself, for queries.
    pub fn conn(&mut self) -> &mut DbConnection {
        &mut self.conn
    }

    /// Notes that something of a provider changes.
    pub fn touch_provider(&mut self, id: i32, part: Part) {
        self.touched.provider(id, part);
    }

    /// Notes that names of resource classes or traits change.
    pub fn touch_names(&mut self) {
        self.touched.names = true;
    }

    /// Notes that somebody may have changed all this.
    #[cfg(feature = "sqlite")]
    pub(crate) fn touch(&mut self, touched: Touched) {
        self.touched.merge(touched);
    }

    /// Notes that a connection was lost before it told what was written.
    pub(crate) fn touch_everything(&mut self) {
        self.touched.everything = true;
    }

    /// Notes that somebody may wait for what a ticket, or a group of tickets, has become.
    pub fn touch_turn(&mut self, uuid: &str) {
        self.turns.changed.insert(uuid.to_owned());
    }

    /// Notes that a ticket expires at this time from now on.
    pub fn touch_expiry(&mut self, at: Option<NaiveDateTime>) {
        self.turns.note_expiry(at);
    }

    /// Hands over what was touched, and forgets it.
    pub(crate) fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// Hands over what was changed of the waitlist, and forgets it.
    pub(crate) fn take_turns(&mut self) -> Turns {
        std::mem::take(&mut self.turns)
    }

    /// Forgets what was touched, as it was rolled back.
    pub(crate) fn forget(&mut self) {
        self.take_touched();
        self.take_turns();
    }
}

impl Deref for Tx {
    type Target = DbConnection;

    fn deref(&self) -> &DbConnection {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut DbConnection {
        &mut self.conn
    }
}

/// Keeps something in step with the database.
pub trait Follower: Send + Sync {
    /// Catches up with what was touched, by reading it through `conn`, which sees all of it committed.
    /// Once that is read, `is_whole` tells whether it is all of some transactions; if not, nothing is
    /// shown of it, and `false` is returned. Called by one thread at a time.
    fn follow(
        &self,
        conn: &mut DbConnection,
        touched: &Touched,
        is_whole: &dyn Fn() -> bool,
    ) -> Result<bool, Error>;
}

/// Hears of changes of the waitlist right after their commit.
pub trait Listener: Send + Sync {
    /// Something has changed, or may have: of a commit that failed only the database knows what has
    /// become. It is called by whatever thread commits, so it must not wait for anything.
    fn changed(&self, turns: &Turns);
}
